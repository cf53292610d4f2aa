"""Notify: tells the transitions of incidents to people, through the channels of the policy."""

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import BytesCoder
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindow
from apache_beam.typehints.decorators import IOTypeHints
from apache_beam.utils.shared import Shared

from eddyline.schemas.alert import Incident, Sender
from eddyline.schemas.alert_channel import AlertChannel, Limits, MessageSettings, PagerdutyChannel
from eddyline.transforms.alerts.alert_message import Wording, read_wording
from eddyline.transforms.alerts.courier import Courier
from eddyline.transforms.alerts.delivery_rows import (
    dead_letters_of,
    deliveries_of,
    incidents_of,
    muted,
)
from eddyline.transforms.alerts.outbox import Outbox, decode_outbox, encode_outbox
from eddyline.transforms.alerts.postbox import Postbox, Route, Told
from eddyline.transforms.counts import count

LOG = logging.getLogger(__name__)
SAID = frozenset({"acknowledged", "confirmed", "false_alarm"})
"""Transitions that an operator made: told to nobody but what keeps incidents of its own."""
OUTCOMES = {"delivered": "alerts_delivered", "retried": "alerts_retried",
            "refused": "alerts_refused", "muted": "alerts_muted"}  # fmt: skip

Keyed = tuple[str, pa.RecordBatch]


class Alerting(Protocol):
    """What `Notify` asks of a policy."""

    @property
    def channels(self) -> Mapping[str, AlertChannel]:
        """Channels by name."""
        ...

    @property
    def messages(self) -> MessageSettings:
        """How alerts are worded."""
        ...

    def routes(self, transition: Mapping[str, Any]) -> tuple[str, ...]:
        """Names of the channels that a row of the incident record goes to."""
        ...

    def muted(self, transition: Mapping[str, Any]) -> str | None:
        """Name of the mute window that holds for it, or None."""
        ...


class CurrentAlerting(Protocol):
    """A policy that may change while the job runs, such as `Reloaded`."""

    def current(self) -> Alerting:
        """The policy now."""
        ...


@dataclass(frozen=True)
class Delivery:
    """How alerts are delivered; all of it pickles, none of it holds a secret.

    Args:
        open_policy: Opens the policy, once a worker.
        open_sender: Opens a channel, in the worker that sends.
        clock: Seconds since the epoch, such as `time.time`: state outlives the worker.
        sleep: Waits so many seconds, such as `time.sleep`; for bounded runs.
        patience: Seconds for which a bounded run goes on trying without any success.
        in_bundle: Seconds for which a bundle waits for a peer, when streaming.
    """

    open_policy: Callable[[], CurrentAlerting]
    open_sender: Callable[[AlertChannel], Sender]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    patience: float = 60.0
    in_bundle: float = 0.5

    def __post_init__(self) -> None:
        if self.patience < 0 or self.in_bundle < 0:
            raise ValueError("patience and in_bundle must not be negative")


class Notified(NamedTuple):
    """What `Notify` gives: batches of the records `delivery` and `dead_letter`."""

    deliveries: beam.PCollection[pa.RecordBatch]
    dead_letters: beam.PCollection[pa.RecordBatch]


@dataclass
class Notify(beam.PTransform):
    """Tell each transition to the channels that the policy routes it to.

    Guarantee: for every (transition, channel) that is not muted there is one delivery `delivered`,
    or one `refused` and its dead letter. At least once: where a bundle is repeated, or a worker
    dies while a peer answers, the peer sees the same idempotency key again. A channel's alerts of
    one incident come in order. No channel waits for another one's peer, and a bundle waits for none
    longer than `in_bundle` seconds.

    A streaming job keeps each channel's `Outbox` in state and tries again by processing-time
    timers; where the stream ends it tries on for `patience` seconds. A bounded job does so at once.

    Members of a storm (`storm_id` is set) and what operators said are not told; PagerDuty gets
    `acknowledged`, since it keeps the incident too.

    Counters: `alerts_delivered`, `alerts_retried`, `alerts_refused`, `alerts_muted`.
    """

    delivery: Delivery
    streaming: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def default_type_hints(self) -> IOTypeHints:
        """Give none: Beam has no form for several outputs and would warn of ours."""
        return IOTypeHints.empty()

    def expand(self, incidents: beam.PCollection[pa.RecordBatch]) -> Notified:
        """Wire it."""
        routed: Any = incidents | "Route" >> beam.ParDo(
            RouteIncidents(self.delivery)
        ).with_output_types(Keyed, muted=pa.RecordBatch).with_outputs("muted", main="routed")
        if self.streaming:
            told = routed.routed | "Deliver" >> _tagged(Deliver(self.delivery))
        else:
            told = (
                routed.routed
                | "Key together" >> beam.WithKeys(0).with_output_types(tuple[int, Keyed])
                | "Collect" >> beam.GroupByKey()
                | "Deliver all" >> _tagged(DeliverAll(self.delivery))
            )
        deliveries = (told.deliveries, routed.muted) | "All deliveries" >> beam.Flatten()
        return Notified(deliveries, told.dead_letters)


def _tagged(deliver: beam.DoFn) -> Any:
    return (
        beam.ParDo(deliver)
        .with_output_types(pa.RecordBatch, dead_letters=pa.RecordBatch)
        .with_outputs("dead_letters", main="deliveries")
    )


class RouteIncidents(beam.DoFn):
    """Splits each batch by the channels its rows are told to."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery

    def setup(self) -> None:
        """Open the policy once a worker."""
        self._policy = self.delivery.open_policy()

    def process(self, incidents: pa.RecordBatch) -> Iterator[Any]:
        """Route one batch."""
        routed, kept = route(incidents, self._policy.current(), self.delivery.clock())
        yield from routed
        if kept:
            count("alerts_muted", len(kept))
            yield TaggedOutput("muted", deliveries_of(kept))


def route(
    incidents: pa.RecordBatch, policy: Alerting, now: float
) -> tuple[list[Keyed], list[dict[str, Any]]]:
    """The rows by channel, in their order, and the deliveries of those that a window mutes.

    Args:
        incidents: A batch of the record `incident`.
        policy: Routes and mute windows.
        now: Seconds since the epoch, for the muted ones' rows.
    """
    places: defaultdict[str, list[int]] = defaultdict(list)
    kept: list[dict[str, Any]] = []
    rows = incidents.to_pylist()
    for place, (row, incident) in enumerate(zip(rows, incidents_of(incidents), strict=True)):
        channels = _told(incident, policy.routes(row), policy.channels)
        if channels and (window := policy.muted(row)) is not None:
            kept += [muted(channel, incident, window, now) for channel in channels]
        else:
            for channel in channels:
                places[channel].append(place)
    return [(name, incidents.take(pa.array(at))) for name, at in places.items()], kept


def _told(
    incident: Incident, routes: tuple[str, ...], channels: Mapping[str, AlertChannel]
) -> tuple[str, ...]:
    if incident.storm_id is not None:
        return ()
    if incident.transition not in SAID:
        return tuple(dict.fromkeys(routes))
    if incident.transition != "acknowledged":
        return ()
    keeping = (name for name in routes if isinstance(channels.get(name), PagerdutyChannel))
    return tuple(dict.fromkeys(keeping))


class _Delivering(beam.DoFn):
    """Opens channels and words by the policy as it is now, each once."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery

    def setup(self) -> None:
        """Open the policy; channels are opened when they are first needed."""
        self._policy = self.delivery.open_policy()
        self._senders: dict[str, tuple[AlertChannel, Sender]] = {}
        self._wording: tuple[MessageSettings, Wording] | None = None

    def _postbox(self, channel: str, outbox: Outbox) -> Postbox:
        policy = self._policy.current()
        config = policy.channels.get(channel)
        sender = None if config is None else self._sender(channel, config)
        limits = Limits() if config is None else config.limits
        route = Route(limits, sender, self._words(policy))
        return Postbox(channel, outbox, route, self.delivery.clock)

    def _sender(self, channel: str, config: AlertChannel) -> Sender:
        known = self._senders.get(channel)
        if known is None or known[0] != config:
            known = self._senders[channel] = (config, self.delivery.open_sender(config))
        return known[1]

    def _words(self, policy: Alerting) -> Wording:
        settings = policy.messages
        if self._wording is None or self._wording[0] != settings:
            try:
                wording = read_wording(settings)
            except ValueError as error:
                LOG.warning("alerts are worded as before: %s", error)
                wording = self._wording[1] if self._wording else Wording(MessageSettings())
            self._wording = (settings, wording)
        return self._wording[1]


class Deliver(_Delivering):
    """The streaming form: a channel's outbox is one state value of bytes."""

    # No other stateful step of a job may use these names: FnApiRunner fuses steps and hands one
    # step's timers to the other's callback of the same name.
    OUTBOX = ReadModifyWriteStateSpec("notify_outbox", BytesCoder())
    RETRY = TimerSpec("notify_retry", TimeDomain.REAL_TIME)
    END = TimerSpec("notify_end", TimeDomain.WATERMARK)

    def __init__(self, delivery: Delivery) -> None:
        super().__init__(delivery)
        self._shared = Shared()

    def setup(self) -> None:
        """Share the process's courier: a timer may come to another copy of this step."""
        super().setup()
        clock = self.delivery.clock
        self._courier: Courier = self._shared.acquire(lambda: Courier(clock))

    def process(
        self,
        element: Keyed,
        state: Any = beam.DoFn.StateParam(OUTBOX),
        retry: Any = beam.DoFn.TimerParam(RETRY),
        end: Any = beam.DoFn.TimerParam(END),
    ) -> Iterator[Any]:
        """Queue a batch's alerts and try what is due."""
        channel, incidents = element
        end.set(GlobalWindow().max_timestamp())
        yield from self._step(channel, incidents_of(incidents), state, retry)

    @on_timer(RETRY)
    def on_retry(
        self,
        channel: Any = beam.DoFn.KeyParam,
        state: Any = beam.DoFn.StateParam(OUTBOX),
        retry: Any = beam.DoFn.TimerParam(RETRY),
    ) -> Iterator[Any]:
        """Try what is due."""
        yield from self._step(channel, (), state, retry)

    @on_timer(END)
    def on_end(
        self,
        channel: Any = beam.DoFn.KeyParam,
        state: Any = beam.DoFn.StateParam(OUTBOX),
    ) -> Iterator[Any]:
        """The stream has ended or is drained: no timer may come any more, so go on here."""
        postbox = self._postbox(channel, _read(state))
        postbox.take(self._courier, self.delivery.patience + postbox.route.limits.timeout)
        postbox.run(self.delivery.sleep, self.delivery.patience)
        state.write(encode_outbox(postbox.outbox))
        yield from _leave(postbox.told)

    def _step(
        self, channel: str, incidents: Iterable[Incident], state: Any, retry: Any
    ) -> Iterator[Any]:
        postbox = self._postbox(channel, _read(state))
        postbox.put(incidents)
        when = postbox.step_in_background(self._courier, self.delivery.in_bundle)
        state.write(encode_outbox(postbox.outbox))
        # Never cleared: Prism fires a cleared processing-time timer at once, for ever. One that was
        # set before finds nothing due and sets none.
        if when is not None:
            # A timer crosses to the engine in milliseconds, cut off; too early, nothing is due.
            retry.set(math.ceil(when * 1000.0) / 1000.0 + 0.001)
        yield from _leave(postbox.told)


def _read(state: Any) -> Outbox:
    encoded = state.read()
    return Outbox() if encoded is None else decode_outbox(encoded)


class DeliverAll(_Delivering):
    """The bounded form: every channel's outbox in a thread of its own, until all are empty."""

    def process(self, element: tuple[int, Iterable[Keyed]]) -> Iterator[Any]:
        """Deliver all alerts of the job, each channel's in the order of their event times."""
        yield from _leave(self.deliver(element[1]))

    def deliver(self, routed: Iterable[Keyed]) -> Told:
        """Deliver what is routed; gives the rows."""
        by_channel: defaultdict[str, list[Incident]] = defaultdict(list)
        for channel, incidents in routed:
            by_channel[channel] += incidents_of(incidents)
        postboxes = [self._postbox(channel, Outbox()) for channel in sorted(by_channel)]
        with ThreadPoolExecutor(max(len(postboxes), 1), "alerts") as threads:
            list(threads.map(lambda postbox: self._run(postbox, by_channel), postboxes))
        told = Told()
        for postbox in postboxes:
            told.deliveries += postbox.told.deliveries
            told.dead_letters += postbox.told.dead_letters
        return told

    def _run(self, postbox: Postbox, by_channel: Mapping[str, list[Incident]]) -> None:
        delivery = self.delivery
        waiting = sorted(by_channel[postbox.channel], key=_in_time)
        for incident in waiting:
            if postbox.outbox.full():
                postbox.run(delivery.sleep, delivery.patience)
            postbox.put((incident,))
        postbox.run(delivery.sleep, delivery.patience)


def deliver_again(delivery: Delivery, routed: Iterable[Keyed]) -> Told:
    """Deliver incidents through the channels they are given with, as a bounded job does."""
    deliver = DeliverAll(delivery)
    deliver.setup()
    return deliver.deliver(routed)


def _in_time(incident: Incident) -> tuple[Any, ...]:
    return incident.event_time, incident.incident_id, incident.revision


def _leave(told: Told) -> Iterator[Any]:
    for row in told.deliveries:
        count(OUTCOMES[row["outcome"]])
    if told.deliveries:
        yield deliveries_of(told.deliveries)
    if told.dead_letters:
        yield TaggedOutput("dead_letters", dead_letters_of(told.dead_letters))
