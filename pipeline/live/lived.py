"""How a live run ended, and whether its counts agree."""

from dataclasses import dataclass

from eddyline.pipeline.run import Ended
from eddyline.pipeline.summary import Balance, balance_of


@dataclass(frozen=True)
class Lived:
    """How a live run ended.

    Args:
        published: Messages that were published.
        retried: Times that a message was refused and sent again.
        ended: How the job ended; None where it did not.
        rows: Rows of the lake's tables, by what was committed.
        trouble: What went wrong, in words; empty where nothing did.
    """

    published: int
    retried: int
    ended: Ended | None
    rows: dict[str, int]
    trouble: str = ""

    @property
    def balance(self) -> Balance | None:
        """What went in and what came out; None where the job did not end."""
        return None if self.ended is None else balance_of(self.ended)

    @property
    def differences(self) -> list[str]:
        """What does not agree, in words; none where nothing was lost and nothing doubled."""
        balance = self.balance
        if balance is None:
            return []
        found: list[str] = []
        if not balance.holds:
            found.append("readings, duplicates and dead letters are not what was read")
        if not self.published <= balance.messages <= self.published + self.retried:
            found.append(f"{self.published:,} messages published, {balance.messages:,} read")
        refused = sum(balance.dead_letters.values())
        for name, counted in (("readings", balance.readings), ("dead_letters", refused)):
            if self.rows[name] != counted:
                found.append(f"{counted:,} {name} counted, {self.rows[name]:,} in the lake")
        return found
