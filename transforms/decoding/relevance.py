"""Relevance: rules that drop what nobody wants, each with its own count."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class DropRule:
    """Drop readings of some devices or some message types.

    Args:
        rule: Its name, used in the counter `filtered_<rule>`.
        device: Glob over device ids; empty means any.
        type: Glob over the message's type (attribute or field `type`); empty means any.
    """

    rule: str
    device: str = ""
    type: str = ""

    def __post_init__(self) -> None:
        if not self.rule.isidentifier():
            raise ValueError(f"drop rule {self.rule!r}: a name of letters, digits and underscores")
        if not (self.device or self.type):
            raise ValueError(f"drop rule {self.rule!r}: name a device or a type, else it drops all")

    def drops(self, device: str, kind: str) -> bool:
        """Whether the rule drops a reading of that device and message type."""
        return (not self.device or fnmatchcase(device, self.device)) and (
            not self.type or fnmatchcase(kind, self.type)
        )


def first_rule(rules: Sequence[DropRule], device: str, kind: str) -> str | None:
    """Name of the first rule that drops it, or None.

    Example:
        >>> rules = [DropRule("tests", device="test-*"), DropRule("beats", type="heartbeat")]
        >>> first_rule(rules, "test-1", ""), first_rule(rules, "a", "heartbeat")
        ('tests', 'beats')
        >>> first_rule(rules, "a", "data") is None
        True
    """
    return next((rule.rule for rule in rules if rule.drops(device, kind)), None)
