"""A fleet with planted faults, sent through a transport that misbehaves, and the truth beside it.

`write` makes the files of a bounded run, `messages` the same messages one by one for a live one.
"""

from eddyline.io.simulate.faults import Fault
from eddyline.io.simulate.outages import Outage
from eddyline.io.simulate.quantities import QUANTITIES, Quantity
from eddyline.io.simulate.simulation import Simulation
from eddyline.io.simulate.stream import Stream, messages, simulate
from eddyline.io.simulate.truth import Truth
from eddyline.io.simulate.write import Written, write

__all__ = [
    "QUANTITIES",
    "Fault",
    "Outage",
    "Quantity",
    "Simulation",
    "Stream",
    "Truth",
    "Written",
    "messages",
    "simulate",
    "write",
]
