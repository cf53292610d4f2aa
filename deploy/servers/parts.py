"""The servers' parts, pinned by version and checksum: fetched once into `~/.cache/eddyline`."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.fetching import Unavailable, tool, whole

HERE = Path(__file__).parent
CACHE = Path.home() / ".cache" / "eddyline"
KAFKA, KINESALITE = "3.9.1", "3.3.3"
CHECKSUMS = HERE / "kafka.sha256"
TIMEOUT = 900.0  # s


def kafka(cache: Path = CACHE) -> Path:
    """The folder with the jars of Kafka's broker (70 MB, by Maven).

    Guarantee: each jar is, byte for byte, the one that the tests were written with.

    Raises:
        Unavailable: There is no Java or Maven here, or a download fails or is another one.
    """
    tool("java", "a Java runtime, 11 or newer")
    folder = cache / f"kafka-{KAFKA}"
    if not folder.is_dir():
        maven = tool("mvn", "Maven")

        def collect(target: Path) -> None:
            goal = ["dependency:copy-dependencies", f"-DoutputDirectory={target}"]
            _run([maven, "-q", "-B", "-f", str(HERE / "kafka.xml"), *goal])
            check(target, CHECKSUMS.read_text(encoding="utf-8"))

        whole(folder, collect)
    return folder


def kinesalite(cache: Path = CACHE) -> Path:
    """The program of kinesalite, an emulated Kinesis that can split and merge shards (npm).

    Guarantee: npm checks every package against the lock file's checksum and runs no script of
    theirs.

    Raises:
        Unavailable: There is no Node.js here, or a download fails.
    """
    tool("node", "Node.js")
    folder = cache / f"kinesalite-{KINESALITE}"
    if not folder.is_dir():
        npm = tool("npm", "npm")

        def install(target: Path) -> None:
            target.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / "kinesalite" / name, target)
            flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            _run([npm, "ci", "--prefix", str(target), *flags])

        whole(folder, install)
    return folder / "node_modules" / ".bin" / "kinesalite"


# By the variable in which the tests look for it.
PARTS: Mapping[str, Callable[[], Path]] = {
    "EDDYLINE_KAFKA": kafka,
    "EDDYLINE_KINESALITE": kinesalite,
}


def check(folder: Path, checksums: str) -> None:
    """Hold a folder's files against lines of `sha256sum`.

    Raises:
        Unavailable: One is missing, or there is one more, or one is not what it was.
    """
    wanted = {name: digest for digest, name in map(str.split, checksums.splitlines())}
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    if wrong := sorted({name for name, _ in wanted.items() ^ there.items()}):
        raise Unavailable(f"what was fetched is not what was expected: {', '.join(wrong[:3])}")


def _run(command: list[str]) -> None:
    program = Path(command[0]).name
    try:
        done = subprocess.run(  # noqa: S603 Maven or npm, with arguments of ours
            command, capture_output=True, text=True, check=False, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{program} did not end within {TIMEOUT:.0f} s") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no word"]
        raise Unavailable(f"{program} failed: {said[0]}")
