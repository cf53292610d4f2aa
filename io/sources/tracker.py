"""The tracker of a stream's restriction: claims what was polled, splits for checkpoints alone."""

from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker
from msgspec.structs import replace

from eddyline.io.sources.progress import Progress


class ProgressTracker(RestrictionTracker):
    """Tracks how far a reader's part of a stream is claimed.

    A position is the `Progress` after a poll. A checkpoint leaves what was claimed as done and
    hands on the rest; other splits are refused, since two readers of a partition would lose its
    order.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stopped = False

    def current_restriction(self) -> Progress:
        """How far it is claimed."""
        return self._progress

    def try_claim(self, position: Progress) -> bool:
        """Claim up to there; not after a checkpoint: what was polled since is polled again."""
        if self._stopped:
            return False
        self._progress = position
        return True

    def try_split(self, fraction_of_remainder: float) -> tuple[Progress, Progress] | None:
        """What is claimed and the rest of it, for a checkpoint (0) alone."""
        if fraction_of_remainder or self._stopped or self._progress.done:
            return None
        rest = self._progress
        self._stopped, self._progress = True, replace(rest, done=True)
        return self._progress, rest

    def check_done(self) -> bool:
        """Whether it was told to end, or handed its rest on.

        Raises:
            ValueError: Neither; a stream does not end by itself.
        """
        if not (self._stopped or self._progress.done):
            raise ValueError("a stream was left without a checkpoint")
        return True

    def is_bounded(self) -> bool:
        """It has no end."""
        return False

    def current_progress(self) -> RestrictionProgress:
        """So many messages; what is left is not known."""
        return RestrictionProgress(completed=float(self._progress.messages), remaining=1.0)
