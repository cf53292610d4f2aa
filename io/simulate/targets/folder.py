"""Publish to a folder: one more file of JSON lines with each send, for a watched source."""

from collections.abc import Sequence
from itertools import count
from pathlib import Path

from eddyline.io.simulate.targets.target import Outgoing, Unsendable


class FolderTarget:
    """Writes files; each appears whole, under a name that comes after those before.

    Args:
        folder: Made if it is not there.
    """

    most = 5_000

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unsendable(f"{folder}: {error.strerror}") from error
        self._numbers = count(len(list(self.folder.glob("part-*.jsonl"))))

    def send(self, messages: Sequence[Outgoing]) -> list[Outgoing]:
        r"""Write them, a line each; they are separated by b"\n" alone."""
        file = self.folder / f"part-{next(self._numbers):08d}.jsonl"
        fresh = file.with_suffix(".part")
        fresh.write_bytes(b"".join(message.payload + b"\n" for message in messages))
        fresh.rename(file)
        return []

    def close(self) -> None:
        """Nothing is held back."""
