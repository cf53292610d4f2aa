"""A request for scores that failed, and what an HTTP status means for the next try."""

from eddyline.schemas.scoring import ScoringReason


class ScoringFailed(Exception):
    """A request that gave no scores.

    Args:
        reason: Its code.
        words: What happened, for a person; no secret is in it.
        again: Whether another try may do.
        retry_after: Seconds that the endpoint asks to wait, if it does.
        by_rows: Whether fewer or other rows may do.
    """

    def __init__(
        self,
        reason: ScoringReason,
        words: str,
        *,
        again: bool = False,
        retry_after: float | None = None,
        by_rows: bool = False,
    ) -> None:
        super().__init__(words)
        self.reason: ScoringReason = reason
        self.again, self.retry_after, self.by_rows = again, retry_after, by_rows


def refusal(status: int, words: str, retry_after: float | None = None) -> ScoringFailed:
    """What an HTTP status other than 2xx means.

    408, 425, 429 and 5xx may pass; 400, 413 and 422 may be one row's fault.

    Example:
        >>> failed = refusal(429, "slow down", 7.0)
        >>> failed.reason, failed.again, failed.retry_after, str(failed)
        ('throttled', True, 7.0, '429: slow down')
        >>> refusal(400, "no").by_rows
        True
    """
    told = f"{status}: {words}".strip().removesuffix(":")
    if status == 429:
        return ScoringFailed("throttled", told, again=True, retry_after=retry_after)
    if status in (408, 425) or 500 <= status < 600:
        return ScoringFailed("endpoint_error", told, again=True, retry_after=retry_after)
    return ScoringFailed("refused", told, by_rows=status in (400, 413, 422))
