"""What must hold of a drained job, whatever was done to it."""

from collections import Counter

import pyarrow as pa


def audit(running, feed, lost=frozenset(), perhaps=frozenset()):
    """Messages in = readings + duplicates + filtered + dead letters, by lake, counts and truth.

    Args:
        running: The job, drained.
        feed: What was sent, stopped.
        lost: Readings that a service lost with itself, and that nobody can have.
        perhaps: Readings of which the service did not say that it had them.
    """
    rows = running.table("readings", ["reading_id", "device_id", "event_time"])
    ids = Counter(rows["reading_id"].to_pylist())
    times = rows["event_time"].cast(pa.int64()).to_pylist()
    got = set(zip(rows["device_id"].to_pylist(), times, strict=True))
    sent = set(feed.sent) - set(lost)
    twice = sum(number - 1 for number in ids.values())
    missing, invented = sent - got, got - sent - set(perhaps)
    assert (twice, len(missing), len(invented)) == (0, 0, 0)

    counts = running.counts
    dead = running.table("dead_letters", ["reason"]).num_rows
    out = ("readings", "duplicates", "filtered", "dead_letters")
    assert counts["messages"] == sum(counts[name] for name in out), counts
    assert (counts["readings"], counts["dead_letters"]) == (rows.num_rows, dead)
    raw = running.raw()
    # An emulator that was started again counts its message ids from 1.
    places = {(one["source"], one["position"], one["arrival_time"]) for one in raw}
    assert (len(raw), len(places)) == (counts["messages"], counts["messages"])
    if not lost and not perhaps:
        assert (counts["messages"], dead) == (feed.messages, feed.dead)
    keys = running.table("incidents", ["incident_id", "revision", "transition"]).to_pylist()
    assert len({(k["incident_id"], k["revision"]) for k in keys}) == len(keys), "incident doubled"
    opened = Counter(k["incident_id"] for k in keys if k["transition"] == "opened")
    assert set(opened.values()) <= {1}, "an incident opened twice"


def unjustly_late(running, disorder):
    """Readings that are LATE though they came no more than `disorder` seconds after their time.

    The watermark follows so far behind arrival times, and a device's frontier behind its own
    readings: what keeps the bound is in order, whatever happened to the source or to others.
    """
    names = ["device_id", "event_time", "arrival_time", "verdict"]
    return [
        row
        for row in running.table("readings", names).to_pylist()
        if row["verdict"] == "LATE"
        and (row["arrival_time"] - row["event_time"]).total_seconds() <= disorder
    ]
