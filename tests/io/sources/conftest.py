"""An engine by hand: it runs a source's splittable `DoFn` bundle by bundle, and can crash."""

import pickle
from time import monotonic

import pytest
from apache_beam.runners.sdf_utils import (
    RestrictionTrackerView,
    ThreadsafeRestrictionTracker,
    ThreadsafeWatermarkEstimator,
)
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP

from eddyline.io.sources.open_readers import READERS
from eddyline.io.sources.read import Pace, Poll, PollAndAcknowledge
from eddyline.io.sources.until import Until
from eddyline.schemas.message import MESSAGE_SCHEMA, messages_of


class Finalizer:
    def __init__(self):
        self.callbacks = []

    def register(self, callback):
        self.callbacks.append(callback)


class Lane:
    """What one reader reads of a stream; its checkpoint is bytes, as an engine keeps it."""

    def __init__(self, engine, restriction):
        self.engine, self.coder = engine, engine.dofn.restriction_coder()
        self.checkpoint = self.coder.encode(restriction)
        self.watermark = MIN_TIMESTAMP
        self.delay = 0.0
        self.ended = False
        self.unacknowledged = []

    def bundle(self, commit=True, acknowledge=True):
        """Run one bundle; without `commit` it crashes after its work, and nothing was."""
        dofn = self.engine.dofn
        provider = self.engine.watermark
        tracker = ThreadsafeRestrictionTracker(
            dofn.create_tracker(self.coder.decode(self.checkpoint))
        )
        estimator = ThreadsafeWatermarkEstimator(
            provider.create_watermark_estimator(self.watermark)
        )
        finalizer, view = Finalizer(), RestrictionTrackerView(tracker)
        more = {"finalizer": finalizer} if isinstance(dofn, PollAndAcknowledge) else {}
        produced = list(dofn.process("it", tracker=view, watermark=estimator, **more))
        assert tracker.check_done()
        for value in produced:
            assert value.value.schema == MESSAGE_SCHEMA
            # What a queue delivers again is older than what came since.
            assert value.timestamp >= self.watermark or dofn.source.acknowledges
        deferred = tracker.deferred_status()
        if commit:
            if deferred is None:
                self.ended, self.watermark = True, MAX_TIMESTAMP
            else:
                rest, delay = deferred
                self.checkpoint = self.coder.encode(rest)
                self.watermark = estimator.current_watermark()
                self.delay = max(0.0, float(delay))
            if acknowledge:
                for callback in finalizer.callbacks:
                    callback()
            else:
                self.unacknowledged += finalizer.callbacks
        self.batches = [value.value for value in produced]
        return [message for batch in self.batches for message in messages_of(batch)]


class Engine:
    def __init__(self, source, until=None, pace=None):
        poll = PollAndAcknowledge if source.acknowledges else Poll
        made = poll(source, pace or Pace(hold=0.1, allowance=0), until or Until(), monotonic)
        self.dofn = pickle.loads(pickle.dumps(made))
        self.watermark = self.dofn.get_function_arguments("process")[1][
            -1
        ].watermark_estimator_provider
        whole = self.dofn.initial_restriction("it")
        self.lanes = [Lane(self, part) for part in self.dofn.split("it", whole)]

    @property
    def lane(self):
        (lane,) = self.lanes
        return lane

    def forget(self):
        """Another worker, another machine: no reader is open."""
        READERS._idle.clear()


@pytest.fixture
def engine():
    READERS._idle.clear()
    yield Engine
    READERS._idle.clear()
