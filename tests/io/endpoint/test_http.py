"""A real server on this machine that answers, fails, hangs, resets and lies."""

import numpy as np
import pytest

from eddyline.io.endpoint import endpoint_of
from eddyline.io.endpoint.ask import Asking
from eddyline.io.endpoint.http import HttpTransport
from eddyline.io.endpoint.vertex import vertex_transport, vertex_url

pytestmark = [pytest.mark.job, pytest.mark.usefixtures("patience")]
CHANNELS = ("temperature", "open")


def connect(server, clock=None, **settings):
    settings = {"kind": "http", "url": server.url, "timeout": 2.0, "rate": 1e6, **settings}
    endpoint = endpoint_of(settings)
    if clock is None:
        return endpoint.connect(CHANNELS)
    return Asking(endpoint.transport(), CHANNELS, endpoint, clock, clock.sleep, lambda: 1.0)


def test_each_reading_gets_its_own_score(server, readings, hold):
    answer = connect(server, max_rows=7).score(readings(20))
    assert hold(answer, 20) == set()
    np.testing.assert_allclose(answer.scores, np.arange(20) / 100)
    assert [len(body["instances"]) for body in server.told.bodies] == [7, 7, 6]
    assert {"temperature": 3.0, "open": True} in server.told.rows()
    assert {"temperature": 4.0, "open": None} in server.told.rows()


def test_no_reading_is_no_request(server, readings, hold):
    assert hold(connect(server).score(readings(0)), 0) == set()
    assert server.told.bodies == []


def test_further_columns_and_a_list_of_features_are_sent_where_that_is_asked_for(server, readings):
    server.told.plan = [[0.0]]
    connect(server, instances="features", also=["device_id"]).score(readings(1))
    assert server.told.rows() == [{"device_id": "room-0", "features": [0.0, 1.0]}]


@pytest.mark.parametrize("trouble", [(500, {}, b"oops"), (503, {}, b""), (429, {}, b""), "reset"])
def test_what_passes_is_tried_again(server, readings, hold, clock, trouble):
    server.told.plan = [trouble, trouble]
    answer = connect(server, clock).score(readings(5))
    assert hold(answer, 5) == set()
    assert len(server.told.bodies) == 3
    # Full jitter, here at its longest.
    assert clock.slept == [0.25, 0.5]


def test_a_time_that_the_endpoint_asks_for_is_waited(server, readings, hold, clock):
    server.told.plan = [(429, {"Retry-After": "7"}, b"")]
    assert hold(connect(server, clock).score(readings(2)), 2) == set()
    assert clock.slept == [7.0]


def test_a_time_beyond_the_patience_is_not_waited_but_heard(server, readings, hold, clock):
    server.told.plan = [(503, {"Retry-After": "120"}, b"")]
    asking = connect(server, clock)
    assert hold(asking.score(readings(2)), 2) == {"endpoint_error"}
    assert clock.slept == []
    clock.now += 119
    assert hold(asking.score(readings(2)), 2) == {"endpoint_down"}
    clock.now += 2
    assert hold(asking.score(readings(2)), 2) == set()
    assert len(server.told.bodies) == 2


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ((500, {}, b"oops"), "endpoint_error"),
        ((429, {}, b""), "throttled"),
        ("reset", "unreachable"),
        ("hang", "timeout"),
        ("drip", "timeout"),
    ],
)
def test_a_failure_in_all_tries_is_one_of_every_reading(server, readings, hold, trouble, reason):
    server.told.plan = [trouble] * 2
    asking = connect(server, tries=2, timeout=0.3, max_rows=3)
    # The first request fails, the second is not made: the endpoint has just failed.
    assert hold(asking.score(readings(5)), 5) == {reason, "endpoint_down"}
    assert len(server.told.bodies) == 2


def test_an_endpoint_that_failed_is_left_alone_then_tried_once(server, readings, hold, clock):
    server.told.plan = [(500, {}, b"")] * 5
    asking = connect(server, clock, tries=4, rest=15)
    assert hold(asking.score(readings(2)), 2) == {"endpoint_error"}
    assert hold(asking.score(readings(2)), 2) == {"endpoint_down"}
    assert len(server.told.bodies) == 4
    clock.now += 16
    assert hold(asking.score(readings(2)), 2) == {"endpoint_error"}
    assert len(server.told.bodies) == 5
    clock.now += 16
    assert hold(asking.score(readings(2)), 2) == set()
    # It is believed again: four tries.
    server.told.plan = [(500, {}, b"")] * 3
    assert hold(asking.score(readings(2)), 2) == set()


def test_without_a_rest_each_request_has_all_its_tries(server, readings, hold, clock):
    server.told.plan = [(500, {}, b"")] * 6
    asking = connect(server, clock, tries=3, rest=0, max_rows=1)
    assert hold(asking.score(readings(3)), 3) == {"endpoint_error"}
    assert len(server.told.bodies) == 7


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"<html>", "bad_response"),
        (b"", "bad_response"),
        (b'{"predictions": [0.5', "bad_response"),
        (b"[" * 100_000, "bad_response"),
        ({"predictions": [0.5]}, "bad_response"),
        ({"predictions": [0.5] * 4}, "bad_response"),
        ({"predictions": 3}, "bad_response"),
        ({}, "bad_response"),
        ("text", "bad_response"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "refused"),
        ((401, {}, b"who are you"), "refused"),
        ((404, {}, b""), "refused"),
    ],
)
def test_an_answer_of_no_use_is_not_asked_for_again(server, readings, hold, answer, reason):
    server.told.plan = [answer]
    asking = connect(server)
    assert hold(asking.score(readings(3)), 3) == {reason}
    assert len(server.told.bodies) == 1
    # And is no reason not to ask for the next ones.
    assert hold(asking.score(readings(3)), 3) == set()


def test_a_score_that_is_no_number_is_a_failure_of_its_reading_only(server, readings, hold):
    server.told.plan = [b'{"predictions": [0.1, NaN, null, "1", true, 1e999, [], {}, 0.9]}']
    answer = connect(server).score(readings(9))
    assert hold(answer, 9) == {"bad_score"}
    assert sorted(answer.failures) == [1, 2, 3, 4, 5, 6, 7]
    assert answer.scores[[0, 8]].tolist() == [0.1, 0.9]


def test_a_reading_that_the_endpoint_cannot_take_costs_itself_only(server, readings, hold):
    def picky(instances):
        if any(i["temperature"] == 37.0 for i in instances):
            return 400, b"37 is not to my taste"
        return 200, [0.5] * len(instances)

    server.told.plan = [(200, {}, picky)] * 100
    answer = connect(server, max_rows=50).score(readings(100))
    assert hold(answer, 100) == {"refused"}
    assert sorted(answer.failures) == [37]
    assert "37 is not to my taste" in answer.failures[37].error


def test_an_endpoint_that_takes_nothing_is_not_asked_for_each_reading(server, readings, hold):
    server.told.plan = [(400, {}, b"no")] * 1000
    assert hold(connect(server).score(readings(500)), 500) == {"refused"}
    assert len(server.told.bodies) < 60


def test_a_closed_port_is_a_failure_and_no_crash(server, readings, hold):
    asking = connect(server, url="http://127.0.0.1:9/none", tries=1)
    assert hold(asking.score(readings(3)), 3) == {"unreachable"}


def test_requests_keep_their_pace(server, readings, hold, clock):
    asking = connect(server, clock, rate=2.0, max_rows=1)
    assert hold(asking.score(readings(5)), 5) == set()
    assert clock.slept == [0.5] * 4


def test_secrets_are_sent_by_reference_and_never_told(server, readings, monkeypatch):
    monkeypatch.setenv("SCORING_TOKEN", "hunter2-hunter2")
    headers = {"Authorization": "Bearer {env:SCORING_TOKEN}", "X-Team": "rooms"}
    server.told.plan = [(403, {}, b"hunter2-hunter2 is not welcome")]
    answer = connect(server, headers=headers).score(readings(1))
    assert server.told.headers[0]["Authorization"] == "Bearer hunter2-hunter2"
    assert server.told.headers[0]["X-Team"] == "rooms"
    assert answer.failures[0].error == "403: [secret] is not welcome"
    endpoint = endpoint_of({"kind": "http", "url": server.url, "headers": headers})
    assert "hunter2" not in repr(endpoint)


def test_a_secret_that_is_not_there_is_a_failure_of_every_reading(server, readings, hold):
    headers = {"Authorization": "Bearer {env:EDDYLINE_NO_SUCH}"}
    answer = connect(server, headers=headers).score(readings(2))
    assert hold(answer, 2) == {"unreachable"}
    assert "env:EDDYLINE_NO_SUCH" in answer.failures[0].error


def test_a_secret_with_a_line_end_is_a_failure_that_does_not_tell_it(
    server, readings, hold, monkeypatch
):
    monkeypatch.setenv("SCORING_TOKEN", "hunter2\nhunter2")
    answer = connect(server, headers={"X-Key": "{env:SCORING_TOKEN}"}).score(readings(1))
    assert hold(answer, 1) == {"unreachable"}
    assert "hunter2" not in answer.failures[0].error


class Anonymous:
    def before_request(self, request, method, url, headers):
        headers["Authorization"] = "Bearer of-nobody"


def test_vertex_is_asked_by_its_own_form(server, readings, hold):
    base = server.url.removesuffix("/score")
    endpoint = endpoint_of(
        {"kind": "vertex", "project": "farm", "location": "europe-west6", "endpoint": "42"}
    )
    url = vertex_url("farm", "europe-west6", "42", base)
    server.told.plan = [
        (503, {}, b""),
        {"predictions": [0.5, 0.25], "deployedModelId": "7", "model": "m"},
    ]
    asking = Asking(vertex_transport(url, 2.0, Anonymous()), CHANNELS, endpoint, jitter=lambda: 0.0)
    answer = asking.score(readings(2))
    assert hold(answer, 2) == set()
    assert answer.scores.tolist() == [0.5, 0.25]
    assert server.told.headers[1]["Authorization"] == "Bearer of-nobody"


def test_without_google_credentials_every_reading_is_a_failure(readings, hold, monkeypatch):
    from google.auth.exceptions import DefaultCredentialsError

    def none(scopes):
        raise DefaultCredentialsError("no credentials here")

    monkeypatch.setattr("google.auth.default", none)
    endpoint = endpoint_of(
        {"kind": "vertex", "project": "farm", "location": "eu", "endpoint": "42"}
    )
    answer = endpoint.connect(CHANNELS).score(readings(2))
    assert hold(answer, 2) == {"unreachable"}
    assert "no credentials here" in answer.failures[0].error


def test_a_large_answer_is_refused_in_bounded_memory(server, readings, hold):
    server.told.plan = [b" " * (17 * 2**20)]
    answer = connect(server).score(readings(1))
    assert hold(answer, 1) == {"bad_response"}


def test_the_connection_is_used_again(server, readings):
    transport = HttpTransport(server.url, 2.0)
    for _ in range(3):
        transport.send(b'{"instances": []}')
    assert transport._pool.connection_from_url(server.url).num_connections == 1
