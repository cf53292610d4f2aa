import pytest

from deploy.flink.rest import END_OF_TIME, Refused, Rest

ANSWERS = {
    "/overview": {"taskmanagers": 1},
    "/jobs/overview": {
        "jobs": [
            {"jid": "b", "state": "RUNNING", "start-time": 2},
            {"jid": "a", "state": "FINISHED", "start-time": 1},
        ]
    },
    "/jobs/b": {"vertices": [{"id": "v"}, {"id": "w"}]},
    "/jobs/b/vertices/v/watermarks": [{"id": "0", "value": str(END_OF_TIME)}],
    "/jobs/b/vertices/w/watermarks": [{"id": "0", "value": str(END_OF_TIME - 1)}],
    "/jobs/b/stop": {"request-id": "t"},
}


@pytest.fixture
def rest(httpserver):
    for path, answer in ANSWERS.items():
        httpserver.expect_request(path).respond_with_json(answer)
    return Rest(httpserver.url_for("").rstrip("/"))


def savepoint(httpserver, operation):
    answer = {"status": {"id": "COMPLETED"}, "operation": operation}
    httpserver.expect_request("/jobs/b/savepoints/t").respond_with_json(answer)


def test_jobs_are_in_the_order_of_their_start(rest):
    assert list(rest.jobs()) == ["a", "b"]
    assert rest.running() == ["b"]


def test_a_job_is_drained_when_every_step_is_at_the_end(rest, httpserver):
    assert not rest.drained("b")
    httpserver.clear()
    for one in ("v", "w"):
        httpserver.expect_request(f"/jobs/b/vertices/{one}/watermarks").respond_with_json(
            [{"id": "0", "value": str(END_OF_TIME)}]
        )
    httpserver.expect_request("/jobs/b").respond_with_json(ANSWERS["/jobs/b"])
    assert rest.drained("b")


def test_a_job_is_settled_when_every_step_has_passed_the_end_on(rest, httpserver):
    """A step whose files wait for their commit has seen the end and holds it back."""
    httpserver.clear()
    marks = {"v": END_OF_TIME, "w": END_OF_TIME - 1}

    def step(name):
        path = f"/jobs/b/vertices/{name}"
        end = [{"id": "0", "value": str(END_OF_TIME)}]
        httpserver.expect_request(f"{path}/watermarks").respond_with_json(end)
        metric = "0.[2]Commit, of all.currentOutputWatermark"
        answer = [{"id": metric, "value": str(marks[name])}]
        httpserver.expect_request(
            f"{path}/metrics", query_string={"get": metric}
        ).respond_with_json(answer)
        known = [{"id": metric}, {"id": "0.numRecordsIn"}]
        httpserver.expect_request(f"{path}/metrics").respond_with_json(known)

    httpserver.expect_request("/jobs/b").respond_with_json(ANSWERS["/jobs/b"])
    step("v")
    step("w")
    assert rest.drained("b")
    assert not rest.settled("b")
    marks["w"] = END_OF_TIME
    httpserver.clear()
    httpserver.expect_request("/jobs/b").respond_with_json(ANSWERS["/jobs/b"])
    step("v")
    step("w")
    assert rest.settled("b")


def test_a_savepoint_that_failed_is_told_by_its_cause(rest, httpserver):
    savepoint(httpserver, {"failure-cause": {"stack-trace": "disk full"}})
    with pytest.raises(Refused, match="disk full"):
        rest.stop_with_savepoint("b", "/somewhere")


def test_a_savepoint_is_named(rest, httpserver):
    savepoint(httpserver, {"location": "file:/somewhere/savepoint-1"})
    assert rest.stop_with_savepoint("b", "/somewhere") == "file:/somewhere/savepoint-1"


def test_an_error_is_told_without_its_stack_trace(rest, httpserver):
    trace = '{"errors":["Not found.\\n\\tat org.apache.Some(Some.java:1)\\nCaused by: no job\\n"]}'
    httpserver.expect_request("/jobs/x").respond_with_data(trace.replace("\n", "\\n"), status=404)
    with pytest.raises(Refused) as refused:
        rest.get("/jobs/x")
    assert "no job" in str(refused.value)
    assert "Some.java" not in str(refused.value)


def test_one_that_does_not_answer_is_not_up():
    assert not Rest("http://127.0.0.1:9", timeout=1).answers()
