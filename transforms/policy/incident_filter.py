"""Which transitions of incidents a route or a mute window is about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from eddyline.transforms.policy.globs import Globs
from eddyline.transforms.policy.policy_file import IncidentMatch
from eddyline.transforms.policy.severity import SEVERITIES

_NAMES = (("device", "device_id"), ("site", "site"), ("model", "model"))


@dataclass(frozen=True)
class IncidentFilter:
    """All of what is given must match.

    Args:
        names: Column of the incident record -> globs. A row that has no such name, such as a storm
            no device, matches no glob, not even `*`.
        sets: Column -> values.
        severities: Values of `severity`.
    """

    names: Mapping[str, Globs]
    sets: Mapping[str, frozenset[str]]
    severities: frozenset[str]

    @classmethod
    def of(cls, match: IncidentMatch) -> "IncidentFilter":
        """A filter of what the policy file says.

        Example:
            >>> serious = IncidentFilter.of(IncidentMatch(at_least="error", site="cold-*"))
            >>> serious.takes({"severity": "critical", "site": "cold-7"})
            True
            >>> serious.takes({"severity": "warning", "site": "cold-7"})
            False
        """
        low = SEVERITIES.index(match.at_least or SEVERITIES[0])
        high = SEVERITIES.index(match.at_most or SEVERITIES[-1])
        names = {
            column: Globs.of(globs)
            for key, column in _NAMES
            if (globs := getattr(match, key)) is not UNSET
        }
        sets = {
            key: frozenset([values] if isinstance(values, str) else values)
            for key in ("kind", "transition")
            if (values := getattr(match, key)) is not UNSET
        }
        return cls(names, sets, frozenset(SEVERITIES[low : high + 1]))

    def takes(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of the incident record matches."""
        if row["severity"] not in self.severities:
            return False
        for column, values in self.sets.items():
            if row[column] not in values:
                return False
        return self.names_match(row)

    def names_match(self, row: Mapping[str, Any]) -> bool:
        """Whether a row's device, site and model match, whatever else is in it."""
        return all(globs.match(row[column]) is not None for column, globs in self.names.items())
