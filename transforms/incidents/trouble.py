"""What is kept of a device in trouble, and of one that was: small values without behaviour."""

import math
from typing import NamedTuple

import msgspec

from eddyline.detectors.protocol import Explanation
from eddyline.transforms.incidents.incident_id import incident_id

LASTING = frozenset({"stuck", "noise"})
"""Signs of many readings together."""
SURE = 0.75


class Cause(NamedTuple):
    """What a row of an incident says of its reading; the columns of the record `incident`."""

    sign: str | None = None
    channels: tuple[str, ...] = ()
    observed: float | None = None
    expected: float | None = None
    expected_low: float | None = None
    expected_high: float | None = None
    sentence: str = ""


class Alarm(NamedTuple):
    """One reading under alarm, as the life cycle takes it.

    Args:
        kinds: (kind, its score, its threshold) for each kind that alarms, most sudden first.
        score: The detector's number for the operator.
        cause: Why.
        recent: The highest score of the last readings as a multiple of the threshold: an alarm that
            a slow sign made comes after what caused it.
    """

    kinds: tuple[tuple[str, float, float], ...]
    score: float
    cause: Cause
    recent: float = 0.0

    @property
    def strength(self) -> float:
        """How strong it is: the highest score as a multiple of its threshold, not negative.

        Of a condition that of the last readings counts, too. And a sign that no single score shows
        (a value that stays, noise) is taken for three quarters of the threshold.
        """
        own = max(times_threshold(score, threshold) for _, score, threshold in self.kinds)
        return max(own, self.recent, SURE if self.cause.sign in LASTING else 0.0)


def times_threshold(score: float, threshold: float) -> float:
    """A score as a multiple of its threshold, not negative; above a threshold of 0 all are strong.

    Example:
        >>> times_threshold(13.5, 9.0), times_threshold(-1.0, 9.0), times_threshold(0.5, 0.0)
        (1.5, 0.0, 1.5)
    """
    return max(0.0, score / threshold if threshold > 0 else 1.0 + score)


class Incident(msgspec.Struct, array_like=True):
    """One trouble that is open, or was lately.

    Args:
        kind: Its kind, which stays what it was at the opening.
        opened_at: Event time, microseconds.
        last_seen: Of its last reading under alarm; of a silence the last reading before it.
        severity: The highest so far, an index of `SEVERITIES`.
        cause: Of its strongest reading under alarm; of a limit the last one beyond it.
        folds: Of a flapping the kind that flaps.
        revision: Of its last row.
        count: Readings under alarm; of a silence 0, of a flapping silence its silences.
        score: Of its last reading under alarm.
        peak: The highest.
        strength: Its highest score as a multiple of the threshold.
        peaks: Kind -> (highest score, threshold then) of the alarms it is made of.
        told_at: Event time of its last row that told its state.
        told_severity: What that row said.
        told_strength: What that row said.
        told_cause: (sign, first channel) that row said.
        reminded: How many reminders' times have passed.
        acknowledged: When an operator acknowledged it; 0 for not.
        dismissed: An operator called it a false alarm: it says nothing more.
        said: (action, event time) of the feedback it got.
        silent: Of a flapping silence: the device is silent now.
    """

    kind: str
    opened_at: int
    last_seen: int
    severity: int = 0
    cause: Cause = Cause()
    folds: str | None = None
    revision: int = 0
    count: int = 0
    score: float | None = None
    peak: float | None = None
    strength: float = 0.0
    peaks: dict[str, tuple[float, float]] = {}
    told_at: int = 0
    told_severity: int = 0
    told_strength: float = 0.0
    told_cause: tuple[str | None, str | None] = (None, None)
    reminded: int = 0
    acknowledged: int = 0
    dismissed: bool = False
    said: list[tuple[str, int]] = []
    silent: bool = False

    def id_of(self, device: str) -> str:
        """Its id; two kinds of one device may begin to flap with the same reading."""
        kind = self.kind if self.folds is None else f"{self.kind} {self.folds}"
        return incident_id(device, kind, self.opened_at)


class Candidate(msgspec.Struct, array_like=True):
    """Readings under alarm that are no incident yet: too weak so far.

    Args:
        last_seen: Event time of the last one.
        evidence: Their sum, see `life_cycle`.
        count: How many.
        peak: The highest score.
        peaks: See `Incident`.
    """

    last_seen: int
    evidence: float = 0.0
    count: int = 0
    peak: float | None = None
    peaks: dict[str, tuple[float, float]] = {}


class Raise(msgspec.Struct, array_like=True):
    """How much a `false_alarm` raised a threshold, and since when it decays.

    Args:
        amount: At the time `since`, in the score's unit; of a silence a share of the limit.
        since: Event time, microseconds.
        days: Whole days that have passed.
    """

    amount: float
    since: int
    days: int = 0


class Troubles(msgspec.Struct, array_like=True):
    """All that is kept of one device beside its model.

    Args:
        value: The open event or condition, or their flapping.
        limits: The open out_of_limits.
        silence: The open silent or missing, or their flapping.
        candidate: What may become a value trouble.
        openings: Kind -> event times of its last openings.
        closed: The last ones that were resolved, the newest last.
        raised: Kind -> how much its threshold is raised.
        rebaseline_at: When the model is to take the present regime for normal; 0 for never.
    """

    value: Incident | None = None
    limits: Incident | None = None
    silence: Incident | None = None
    candidate: Candidate | None = None
    openings: dict[str, list[int]] = {}
    closed: list[Incident] = []
    raised: dict[str, Raise] = {}
    rebaseline_at: int = 0

    @property
    def open(self) -> tuple[Incident, ...]:
        """The incidents that are open."""
        return tuple(i for i in (self.value, self.limits, self.silence) if i is not None)

    @property
    def forgotten(self) -> bool:
        """Whether nothing is kept."""
        return self == Troubles()


def cause_of(why: Explanation) -> Cause:
    """A detector's explanation as a row says it: what is not known is None."""

    def known(value: float) -> float | None:
        return None if math.isnan(value) else value

    return Cause(
        why.sign,
        why.channels,
        known(why.observed),
        known(why.expected),
        known(why.expected_low),
        known(why.expected_high),
        why.sentence,
    )
