"""The command `eddyline`: sets the process up before anything heavy is imported."""

import os

# Arrow's own allocator keeps what it freed, 60 MB over a bounded run of a million readings. It is
# chosen as Arrow is loaded.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def main() -> None:
    """Run a command."""
    from eddyline.pipeline.cli import app

    app()


if __name__ == "__main__":
    main()
