"""What is said and shown of a service that refuses, by a clock of the test's own."""

import logging

import pytest

from eddyline.io.outages import Outages

LAKE = "the lake s3://b/lake"


class Clock:
    def __init__(self):
        self.now = 0.0
        self.outages = Outages(lambda: self.now)


def test_it_is_said_after_two_seconds_then_every_half_minute_and_at_the_end(caplog):
    clock = Clock()
    with clock.outages.waiting_for(LAKE) as refusing:
        for clock.now in range(62):
            refusing("AccessDenied")
    assert [record.getMessage() for record in caplog.records] == [
        f"{LAKE} refuses (AccessDenied), for 2 s now; writes that wait: 1",
        f"{LAKE} refuses (AccessDenied), for 32 s now; writes that wait: 1",
        f"{LAKE} refused (AccessDenied) for 61 s; going on",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_service_that_refuses_for_a_moment_is_not_worth_a_word(caplog):
    clock = Clock()
    with clock.outages.waiting_for(LAKE) as refusing:
        refusing("SlowDown")
        clock.now = 1.5
        refusing("SlowDown")
        assert clock.outages.read() == ((LAKE, "SlowDown", 0.0, 1),)
    assert clock.outages.read() == ()
    assert caplog.records == []


def test_many_writes_that_wait_are_one_outage(caplog):
    clock = Clock()
    with clock.outages.waiting_for(LAKE) as first:
        first("AccessDenied")
        with clock.outages.waiting_for(LAKE) as second:
            clock.now = 5.0
            second("AccessDenied")
            first("AccessDenied")
            assert clock.outages.read() == ((LAKE, "AccessDenied", 0.0, 2),)
        assert clock.outages.read() == ((LAKE, "AccessDenied", 0.0, 1),)
        clock.now = 9.0
    assert [record.getMessage().split(", ")[0] for record in caplog.records] == [
        f"{LAKE} refuses (AccessDenied)",
        f"{LAKE} refused (AccessDenied) for 9 s; going on",
    ]


def test_services_are_told_apart_and_the_longest_outage_comes_first():
    clock = Clock()
    with clock.outages.waiting_for("BigQuery p.d") as slow:
        slow("503")
        clock.now = 4.0
        with clock.outages.waiting_for(LAKE) as refusing:
            refusing("AccessDenied")
            assert [waiting.service for waiting in clock.outages.read()] == ["BigQuery p.d", LAKE]
    assert clock.outages.read() == ()


def refuse_and_fail(clock):
    with clock.outages.waiting_for(LAKE) as refusing:
        for clock.now in range(4):
            refusing("AccessDenied")
        raise ZeroDivisionError


def test_a_write_that_gives_up_is_not_said_to_go_on(caplog):
    clock = Clock()
    with pytest.raises(ZeroDivisionError):
        refuse_and_fail(clock)
    assert [record.getMessage().split(" ")[3] for record in caplog.records] == ["refuses"]
    assert clock.outages.read() == ()


def test_a_write_that_was_never_refused_is_no_outage(caplog):
    clock = Clock()
    with clock.outages.waiting_for(LAKE):
        assert clock.outages.read() == ()
    assert caplog.records == []
