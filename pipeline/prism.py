"""Prism, the engine of a live run on one machine: where its binary is, and how to get it.

`python -m eddyline.pipeline.prism` (`make prism`) gets it and prints where it is.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import apache_beam
from apache_beam.options.pipeline_options import PipelineOptions

PACKAGE = "github.com/apache/beam/sdks/v2/go/cmd/prism"
BUILD_SECONDS = 1800.0


class NoPrism(OSError):
    """There is no Prism here, and it cannot be had; the words say what to do."""


def cached_prism() -> Path:
    """Where we put the one that we got."""
    return Path.home() / ".cache" / "eddyline" / "prism"


def find_prism(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The binary: that of EDDYLINE_PRISM, else one on the PATH, else the one we got.

    Raises:
        NoPrism: EDDYLINE_PRISM names no file that can be run.
    """
    if named := environment.get("EDDYLINE_PRISM"):
        if not os.access(named, os.X_OK) or Path(named).is_dir():
            raise NoPrism(f"EDDYLINE_PRISM: no program at {named}")
        return Path(named)
    if found := shutil.which("prism", path=environment.get("PATH", "")):
        return Path(found)
    cached = cached_prism()
    return cached if os.access(cached, os.X_OK) else None


def get_prism(tell: Callable[[str], None], environment: Mapping[str, str] = os.environ) -> Path:
    """The binary that is there; else it is built where Go is, else downloaded as Beam does.

    It lands in the user's cache under its final name only once it is whole.

    Args:
        tell: Says what is going on where it takes a while.
        environment: The process's variables.

    Raises:
        NoPrism: Neither works here.
    """
    if found := find_prism(environment):
        return found
    troubles: list[str] = []
    for way in (_built, _downloaded):
        try:
            return way(tell, environment)
        except NoPrism as error:
            troubles.append(str(error))
    raise NoPrism(
        f"no Prism {apache_beam.__version__} here, and it could not be got: "
        f"{'; '.join(troubles)}. Install Go (https://go.dev/doc/install) and run `make prism`, "
        "or set EDDYLINE_PRISM to a binary that was built elsewhere: "
        f"CGO_ENABLED=0 go install {PACKAGE}@v{apache_beam.__version__}"
    )


def _built(tell: Callable[[str], None], environment: Mapping[str, str]) -> Path:
    go = shutil.which("go", path=environment.get("PATH", ""))
    if go is None:
        raise NoPrism("there is no Go to build it with")
    folder = cached_prism().parent
    folder.mkdir(parents=True, exist_ok=True)
    tell("Building Prism with Go, once; it takes a minute or two …")
    which = f"{PACKAGE}@v{apache_beam.__version__}"
    try:
        done = subprocess.run(  # noqa: S603 the program is Go and every argument is ours
            [go, "install", "-ldflags", "-s -w", which],
            env={**environment, "GOBIN": str(folder), "CGO_ENABLED": "0"},
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoPrism(f"go install did not end well ({error})") from error
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no word"]
        raise NoPrism(f"go install failed ({last[0]})")
    return cached_prism()


def _downloaded(tell: Callable[[str], None], _environment: Mapping[str, str]) -> Path:
    from apache_beam.runners.portability.prism_runner import PrismJobServer

    tell("Downloading Prism from Beam's release page, once …")
    folder = cached_prism().parent
    folder.mkdir(parents=True, exist_ok=True)
    version = f"v{apache_beam.__version__}"
    try:
        url = PrismJobServer(PipelineOptions([])).construct_download_url(
            version, platform.system(), platform.machine()
        )
        binary = Path(PrismJobServer.local_bin(url, str(folder / "download")))
        binary.rename(cached_prism())
    except (RuntimeError, ValueError, OSError) as error:
        raise NoPrism(f"the download failed ({error})") from error
    shutil.rmtree(folder / "download", ignore_errors=True)
    return cached_prism()


def _tell(words: str) -> None:
    sys.stderr.write(words + "\n")


if __name__ == "__main__":
    try:
        where = get_prism(_tell)
    except NoPrism as trouble:
        sys.exit(f"eddyline: {trouble}")
    sys.stdout.write(f"{where}\n")
