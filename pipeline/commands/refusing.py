"""Refusing: what the user can mend is one line and an exit code, not a traceback."""

from collections.abc import Generator
from contextlib import contextmanager

import typer
from apache_beam.io.filesystem import BeamIOError
from deltalake.exceptions import TableNotFoundError
from rich.console import Console
from rich.markup import escape

MISUSED = 2
err = Console(stderr=True)


@contextmanager
def refusing() -> Generator[None]:
    """Turn what the user can mend into one line and exit code 2; a bug keeps its traceback."""
    try:
        yield
    except TableNotFoundError as error:
        err.print("[bold red]eddyline:[/] no lake here yet: run the job first, or name --lake.")
        raise typer.Exit(MISUSED) from error
    except (ValueError, OSError, BeamIOError) as error:
        err.print(f"[bold red]eddyline:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(MISUSED) from error
