"""GroupStorms: many incidents of one site at once become one that is told."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import BytesCoder
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import Contract, load_contract
from eddyline.transforms.counts import count
from eddyline.transforms.decode import earliest
from eddyline.transforms.devices.registry import read_registry
from eddyline.transforms.fleet.fleet import END_OF_TIME
from eddyline.transforms.incidents.storm import Row
from eddyline.transforms.incidents.storms import SiteState, SiteStorms
from eddyline.transforms.incidents.storms_codec import decode_storms, encode_storms
from eddyline.transforms.policy.policy import DEFAULT, Policy, read_policy
from eddyline.transforms.reloaded import Reloaded
from eddyline.transforms.watch import TIMER_STEP

# No field of the record depends on the channels, so any contract tells their types.
INCIDENT = arrow_schema(load_contract("room").record("incident"))
_PLAIN = pa.schema(
    [f.with_type(pa.int64()) if pa.types.is_timestamp(f.type) else f for f in INCIDENT]
)

Keyed = tuple[str, pa.RecordBatch]


class StormFiles(NamedTuple):
    """The files that say what a storm is.

    Args:
        policy: The policy file, or empty for the default.
        registry: The device registry, or empty for none: then no site's number of devices is known.
        channels: The declared channels, which the registry is checked against.
        refresh: Seconds between looks at the files.
        clock: Seconds that only grow.
    """

    policy: str
    registry: str
    channels: tuple[str, ...]
    refresh: float
    clock: Callable[[], float]


@dataclass
class GroupStorms(beam.PTransform):
    """Fold the incidents of a site that open together into a storm; see `SiteStorms`.

    Takes batches of the `incident` record and gives batches of it: every row that came, those of a
    storm's members with `storm_id`, and the storms' own rows. Rows without a site pass.

    Guarantee: rows out = rows in + rows of storms. A streaming job keeps each site's storms in
    state, decides as the watermark moves on and holds an opening for `within` seconds beyond
    `disorder`; a bounded job folds each site's rows in order. Both give the same rows, if none
    comes more than `disorder` and a second behind the watermark.

    Counters: `storms`, `storm_members`, `policy_reloaded`, `policy_refused`, `sites_reloaded`,
    `sites_refused`.

    Args:
        contract: The declared channels, which the registry is checked against.
        clock: Seconds that only grow, such as `time.monotonic`.
        policy: The policy file, or empty for the default.
        registry: The device registry, or empty.
        refresh: Seconds between looks at the files.
        disorder: How far Watch's rows are behind the watermark, microseconds: its own disorder.
        streaming: Whether the job is.
    """

    contract: Contract
    clock: Callable[[], float]
    policy: str = ""
    registry: str = ""
    refresh: float = 60.0
    disorder: int = 10_000_000
    streaming: bool = False

    def __post_init__(self) -> None:
        super().__init__()
        if self.refresh < 0:
            raise ValueError(f"refresh must not be negative: {self.refresh}")
        if self.disorder < 0:
            raise ValueError(f"disorder must not be negative: {self.disorder}")

    def expand(
        self, incidents: beam.PCollection[pa.RecordBatch]
    ) -> beam.PCollection[pa.RecordBatch]:
        """Wire it."""
        channels = tuple(channel.name for channel in self.contract.channels)
        files = StormFiles(self.policy, self.registry, channels, self.refresh, self.clock)
        keyed: Any = incidents | "Key by site" >> beam.ParDo(KeyBySite()).with_output_types(
            Keyed, elsewhere=pa.RecordBatch
        ).with_outputs("elsewhere", main="keyed")
        if self.streaming:
            grouped = keyed.keyed | "Group site" >> beam.ParDo(
                GroupSite(files, self.disorder + TIMER_STEP)
            ).with_output_types(pa.RecordBatch)
        else:
            grouped = (
                keyed.keyed
                | "Collect site" >> beam.GroupByKey()
                | "Fold site" >> beam.ParDo(FoldSite(files)).with_output_types(pa.RecordBatch)
            )
        return (grouped, keyed.elsewhere) | "All incidents" >> beam.Flatten()


def split_by_site(incidents: pa.RecordBatch) -> Iterator[tuple[str | None, pa.RecordBatch]]:
    """The batch's rows by site; rows of one site keep their order."""
    rows: dict[str | None, list[int]] = {}
    for row, site in enumerate(incidents.column("site").to_pylist()):
        rows.setdefault(site, []).append(row)
    for site, places in rows.items():
        yield site, incidents.take(pa.array(places))


class KeyBySite(beam.DoFn):
    """Split each batch by site; rows without one go elsewhere."""

    def process(self, incidents: pa.RecordBatch) -> Iterator[Any]:
        """Split one batch; each part is stamped with its own earliest event time."""
        for site, rows in split_by_site(incidents):
            stamp = earliest(rows, "event_time")
            if site is None:
                yield TaggedOutput("elsewhere", TimestampedValue(rows, stamp))
            else:
                yield TimestampedValue((site, rows), stamp)


class _Sites(beam.DoFn):
    """Makes the storms of a site by what the files say now."""

    def __init__(self, files: StormFiles, lag: int = 0) -> None:
        self.files, self.lag = files, lag

    def setup(self) -> None:
        """Read the files once a worker."""
        self.read_policy, self.read_sizes = _open(self.files)

    def storms_of(self, site: str, state: SiteState | None = None) -> SiteStorms:
        rule = self.read_policy().storm(site)
        return SiteStorms(site, rule, self.read_sizes().get(site), self.lag, state)


class GroupSite(_Sites):
    """The streaming form: the site's storms are one state value of bytes."""

    # A timer's name is its own in the whole job: FnApiRunner takes those of fused steps for one.
    STORMS = ReadModifyWriteStateSpec("storms", BytesCoder())
    DUE = TimerSpec("storms_due", TimeDomain.WATERMARK)

    def process(
        self,
        element: Keyed,
        state: Any = beam.DoFn.StateParam(STORMS),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[Any]:
        """Take one batch of the site."""
        site, incidents = element
        storms = self._read(site, state)
        rows = storms.observe(rows_of(incidents))
        self._write(storms, state, due)
        yield from _batches(rows)

    @on_timer(DUE)
    def decide(
        self,
        site: Any = beam.DoFn.KeyParam,
        timestamp: Any = beam.DoFn.TimestampParam,
        state: Any = beam.DoFn.StateParam(STORMS),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[Any]:
        """The watermark has come to where something that waits is due."""
        storms = self._read(site, state)
        rows = storms.advance(timestamp.micros)
        self._write(storms, state, due)
        yield from _batches(rows)

    def _read(self, site: str, state: Any) -> SiteStorms:
        encoded = state.read()
        return self.storms_of(site, None if encoded is None else decode_storms(encoded))

    def _write(self, storms: SiteStorms, state: Any, due: Any) -> None:
        state.write(encode_storms(storms.state))
        # See WatchShard: nothing is due at the end of time, and full seconds because the engine
        # cuts a timer off at the millisecond, before which nothing would be decided.
        if (when := storms.due()) is None:
            due.clear()
        else:
            due.set(Timestamp(micros=-(-when // TIMER_STEP) * TIMER_STEP))


class FoldSite(_Sites):
    """The bounded form: the same decisions over all the site's rows, in their order."""

    def process(self, element: tuple[str, Iterable[pa.RecordBatch]]) -> Iterator[Any]:
        """Fold one site."""
        site, batches = element
        storms = self.storms_of(site)
        rows = storms.observe(chain.from_iterable(map(rows_of, batches)))
        yield from _batches(rows + storms.advance(END_OF_TIME))


def rows_of(incidents: pa.RecordBatch) -> list[Row]:
    """The rows of a batch, their times as microseconds."""
    return pa.RecordBatch.from_arrays(
        [incidents.column(f.name).cast(f.type) for f in _PLAIN], schema=_PLAIN
    ).to_pylist()


def batch_of(rows: Sequence[Row]) -> pa.RecordBatch:
    """The batch of these rows."""
    return pa.RecordBatch.from_pylist(list(rows), schema=INCIDENT)


def site_sizes(name: str, content: bytes, channels: Sequence[str]) -> Mapping[str, int]:
    r"""How many devices the registry knows at each site.

    Raises:
        ValueError: See `read_registry`.

    Example:
        >>> dict(site_sizes("d.csv", b"device_id,site\na,Bern\nb,Bern\nc,\n", []))
        {'Bern': 2}
    """
    places = read_registry(name, content, channels).places
    return Counter(site for site in places.column("site").to_pylist() if site is not None)


def _open(
    files: StormFiles,
) -> tuple[Callable[[], Policy], Callable[[], Mapping[str, int]]]:
    def no_sizes() -> Mapping[str, int]:
        return {}

    policy, sizes = (lambda: DEFAULT), no_sizes
    if files.policy:
        policy = Reloaded(files.policy, read_policy, files.refresh, files.clock, "policy").current
    if files.registry:
        parse = partial(site_sizes, channels=files.channels)
        sizes = Reloaded(files.registry, parse, files.refresh, files.clock, "sites").current
    return policy, sizes


def _batches(rows: list[Row]) -> Iterator[Any]:
    if not rows:
        return
    openings = [row for row in rows if row["transition"] == "opened"]
    count("storms", sum(row["kind"] == "storm" for row in openings))
    count("storm_members", sum(row["storm_id"] is not None for row in openings))
    batch = batch_of(rows)
    yield TimestampedValue(batch, earliest(batch, "event_time"))
