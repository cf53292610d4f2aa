"""The parts of a cluster, pinned by version: fetched once, kept under `~/.cache/eddyline/flink`."""

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

from deploy.fetching import Unavailable, tool, whole

FLINK = "1.19.2"
POM = Path(__file__).with_name("pom.xml")
CACHE = Path.home() / ".cache" / "eddyline" / "flink"

# What the job's jar brings itself, because it looks for the pipeline beside its own classes.
OF_THE_JOB = {
    "beam-runners-flink-": (
        "org/apache/beam/runners/flink/FlinkPipelineRunner",
        "org/apache/beam/runners/flink/FlinkPortableRunnerResult",
    ),
    "beam-runners-java-job-service-": ("org/apache/beam/",),
}
# Flink has its own; a second binding of the logging API silences the cluster.
NOT_WANTED = ("slf4j-api-", "flink-")


@dataclass(frozen=True)
class Parts:
    """Where the parts are.

    Args:
        folder: Of this version.
    """

    folder: Path = CACHE / f"flink-{FLINK}"

    @property
    def flink(self) -> Path:
        """Flink's own jars."""
        return self.folder / "lib"

    @property
    def beam(self) -> Path:
        """Those of Beam's runner and what they need."""
        return self.folder / "beam"

    @property
    def job_jar(self) -> Path:
        """A jar without Beam for `--flink_job_server_jar`: the cluster has Beam already."""
        return self.folder / "job.jar"

    @property
    def class_path(self) -> str:
        """Flink first: where both bring a class, the cluster's own counts."""
        return f"{self.flink}/*:{self.beam}/*"


def fetch(parts: Parts, tell: Callable[[str], None]) -> Parts:
    """The parts, fetched where they are not there yet (400 MB, a minute or two, once).

    Guarantee: a part that is there is whole: it was made elsewhere and then moved.

    Raises:
        Unavailable: A tool or a download is missing.
    """
    if not parts.flink.is_dir():
        tell(f"Fetching Flink {FLINK} (230 MB) ...")
        whole(parts.flink, _fetch_flink)
    if not parts.beam.is_dir():
        tell("Fetching Beam's Flink runner with Maven (100 MB) ...")
        whole(parts.beam, _fetch_beam)
    if not parts.job_jar.is_file():
        whole(parts.job_jar, lambda target: _join(parts.beam, target))
    return parts


def java() -> str:
    """The Java to run with.

    Raises:
        Unavailable: There is none.
    """
    return tool("java", "a Java runtime, 11 or 17")


def _fetch_flink(target: Path) -> None:
    """Flink's distribution comes as the source package that PyFlink depends on."""
    downloads = target.with_name("downloads")
    package = f"apache-flink-libraries=={FLINK}"
    flags = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--quiet"]
    _run([sys.executable, "-m", "pip", "download", *flags, "-d", str(downloads), package])
    (archive,) = downloads.glob("apache[-_]flink[-_]libraries-*.tar.gz")
    target.mkdir()
    with tarfile.open(archive) as tar:
        for member in tar:
            path = Path(member.name)
            if member.isfile() and path.parts[1:3] == ("deps", "lib") and path.suffix == ".jar":
                content = tar.extractfile(member)
                if content is not None:
                    with content, (target / path.name).open("wb") as jar:
                        shutil.copyfileobj(content, jar)
    shutil.rmtree(downloads)


def _fetch_beam(target: Path) -> None:
    maven = tool("mvn", "Maven")
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={target}", "-DincludeScope=runtime"]
    _run([maven, "-q", "-B", "-f", str(POM), *goal])
    for jar in target.iterdir():
        if jar.name.startswith(NOT_WANTED):
            jar.unlink()


def _join(beam: Path, target: Path) -> None:
    """The entry class and the package that looks for the pipeline; a few hundred kilobytes."""
    with ZipFile(target, "w") as jar:
        for prefix, wanted in OF_THE_JOB.items():
            (part,) = beam.glob(f"{prefix}*.jar")
            with ZipFile(part) as source:
                for name in source.namelist():
                    if name.startswith(wanted) and name.endswith(".class"):
                        jar.writestr(name, source.read(name))


def _run(command: list[str]) -> None:
    done = subprocess.run(  # noqa: S603 pip or Maven, with arguments of ours
        command, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise Unavailable(f"{Path(command[0]).name} failed:\n{last}")
