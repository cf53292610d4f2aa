"""The command line's options: one for each setting, and Beam's own passed through."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from datetime import datetime
from typing import Annotated, Any, Literal, NoReturn, get_args, get_origin, get_type_hints

import typer
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.pipeline_options import (
    _BeamArgumentParser as BeamArgumentParser,  # pyright: ignore[reportPrivateUsage] the only parser that knows all of Beam's options
)

from eddyline.pipeline.flink_options import refuse_for_flink  # Beam finds the options there
from eddyline.pipeline.settings import Settings

PANEL = "Settings"

LONGEST = 10**8
"""Seconds."""


def with_settings(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a typer command an option for each setting, or for those named.

    The command gets what was given, and only that, as the dict `given`. A setting that is no
    scalar (drop rules, the detector's options) is given as JSON.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command).parameters.values())
        options = _options(names)

        def wrapper(**arguments: Any) -> None:
            values = {option.name: arguments.pop(option.name) for option in options}
            given = {name: value for name, value in values.items() if value is not None}
            command(**arguments, given=given)

        wrapper.__doc__ = command.__doc__
        wrapper.__name__ = command.__name__
        kept = [parameter for parameter in own if parameter.name != "given"]
        signature = inspect.Signature([*kept, *options])
        wrapper.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess] typer reads it
        wrapper.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
        return wrapper

    return decorate


def _options(names: tuple[str, ...]) -> list[inspect.Parameter]:
    hints = get_type_hints(Settings, include_extras=True)
    options: list[inspect.Parameter] = []
    for setting in fields(Settings):
        kind, meta = get_args(hints[setting.name])[:2]
        if names and setting.name not in names:
            continue
        structured = get_origin(kind) in (dict, tuple)
        default = "" if setting.default is MISSING else setting.default or ""
        told = f"{default:%Y-%m-%d}" if isinstance(default, datetime) else default
        if isinstance(default, tuple):
            told = ", ".join(map(str, default))
        words = typer.Option(
            help=meta.description if default == "" else f"{meta.description} Default: {told}.",
            show_default=False,
            metavar="JSON" if structured else "NAME" if get_origin(kind) is Literal else None,
            rich_help_panel=PANEL,
        )
        shown = str if structured or kind is datetime else kind
        options.append(
            inspect.Parameter(
                setting.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[shown | None, words],
            )
        )
    return options


def beam_options(flags: list[str], **defaults: Any) -> PipelineOptions:
    """Beam's options from the flags that are not ours.

    Args:
        flags: Such as `["--runner=PrismRunner"]`.
        defaults: Options that hold where the flags say nothing.

    Raises:
        ValueError: A flag that no part of Beam knows or hands on (Beam itself would drop it
            silently), or a value that does not fit.

    Example:
        >>> beam_options(["--shcema=x"])
        Traceback (most recent call last):
        ValueError: no such option: --shcema=x
    """
    refuse_for_flink(flags)
    parser = _Parser()
    for options in _subclasses(PipelineOptions):
        options._add_argparse_args(parser)  # noqa: SLF001
    _, unknown = parser.parse_known_args(flags)
    if unknown:
        raise ValueError(f"no such option: {' '.join(unknown)}")
    named = {flag.lstrip("-").partition("=")[0] for flag in flags}
    # Beam's client would give up any job on Prism or Flink that runs for more than five minutes.
    defaults = {"job_server_timeout": LONGEST, **defaults}
    given = {name: value for name, value in defaults.items() if name not in named}
    return PipelineOptions(flags, **given)


class _Parser(BeamArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise in place of printing all of Beam's options."""
        raise ValueError(message)


def _subclasses(kind: type[PipelineOptions]) -> list[Any]:
    return [c for sub in kind.__subclasses__() for c in (sub, *_subclasses(sub))]
