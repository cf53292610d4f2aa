"""The summary: what went in is what came out, or it says so."""

import io

import pytest
from rich.console import Console

from eddyline.pipeline.run import Ended
from eddyline.pipeline.summary import balance_of, told

COUNTS = {
    "messages": 10,
    "readings_decoded": 9,
    "dead_letters": 3,
    "dead_letter_malformed": 1,
    "dead_letter_out_of_range": 2,
    "filtered": 1,
    "filtered_tests": 1,
    "readings": 7,
    "duplicates": 2,
    "late_readings": 1,
    "minutes": 4,
    "incidents_opened": 2,
    "incidents_resolved": 1,
    "storms": 1,
    "storm_members": 2,
    "alerts_delivered": 2,
    "alerts_muted": 1,
}


def text(balance):
    sink = io.StringIO()
    Console(file=sink, width=100).print(told(balance, 1.25))
    return " ".join(sink.getvalue().split())


def test_the_balance_of_a_run_is_told_with_its_reasons():
    balance = balance_of(Ended("DONE", COUNTS, 1.25))
    assert balance.holds
    assert text(balance) == (
        "10 messages in 1.2 s, which carried 13 readings = 7 readings (1 of them late) "
        "+ 2 duplicates + 1 filtered by a drop rule "
        "+ 3 dead letters: 2 out_of_range, 1 malformed 4 device minutes 0 anomalies "
        "2 incidents opened, 2 of them in 1 storm, 1 resolved 3 alerts: 2 delivered, 1 muted"
    )


@pytest.mark.parametrize("lost", ["readings", "duplicates"])
def test_a_lost_or_doubled_reading_is_called_a_bug(lost):
    balance = balance_of(Ended("DONE", COUNTS | {lost: COUNTS[lost] + 1}, 1.25))
    assert not balance.holds
    assert "≠" in text(balance)
    assert "this is a bug" in text(balance)


@pytest.mark.parametrize(
    ("state", "succeeded"), [("DONE", True), ("RUNNING", True), ("FAILED", False)]
)
def test_only_a_run_that_is_done_or_goes_on_has_succeeded(state, succeeded):
    assert Ended(state, {}, 0.0).succeeded == succeeded
