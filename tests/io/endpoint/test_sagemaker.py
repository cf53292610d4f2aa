"""SageMaker, by moto."""

import json

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ReadTimeoutError
from moto import mock_aws
from moto.sagemakerruntime.models import sagemakerruntime_backends

from eddyline.io.endpoint import endpoint_of
from eddyline.io.endpoint.sagemaker import SageMakerTransport

pytestmark = pytest.mark.job
CHANNELS = ("temperature", "open")


@pytest.fixture
def answers(monkeypatch):
    """What the endpoint will answer, in this order."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        backend = sagemakerruntime_backends["123456789012"]["eu-west-1"]

        def plan(*bodies):
            for body in bodies:
                backend.results_queue.append((body, "application/json", "blue", ""))

        yield plan


def connect(**settings):
    given = {"kind": "sagemaker", "endpoint": "rooms", "region": "eu-west-1", "tries": 2}
    return endpoint_of({**given, **settings}).connect(CHANNELS)


def test_scores_come_from_the_endpoint(answers, readings, hold):
    answers(json.dumps({"predictions": [0.5, 0.25, 1]}))
    answer = connect().score(readings(3))
    assert hold(answer, 3) == set()
    assert answer.scores.tolist() == [0.5, 0.25, 1.0]


def test_the_form_of_random_cut_forest_is_read(answers, readings, hold):
    answers(json.dumps({"scores": [{"score": 0.5}, {"score": 2.5}]}))
    answer = connect(instances="features").score(readings(2))
    assert hold(answer, 2) == set()
    assert answer.scores.tolist() == [0.5, 2.5]


def test_garbage_is_a_failure_of_every_reading(answers, readings, hold):
    answers("body")
    assert hold(connect().score(readings(3)), 3) == {"bad_response"}


def error(code, status, **more):
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}, **more}
    return ClientError(response, "InvokeEndpoint")


@pytest.mark.parametrize(
    ("raised", "reason", "calls"),
    [
        (error("ThrottlingException", 400), "throttled", 2),
        (error("InternalFailure", 500), "endpoint_error", 2),
        (error("ModelNotReadyException", 429), "endpoint_error", 2),
        (error("ModelError", 424, OriginalStatusCode=503), "endpoint_error", 2),
        (error("ModelError", 424, OriginalStatusCode=401), "refused", 1),
        (error("AccessDeniedException", 403), "refused", 1),
        (ReadTimeoutError(endpoint_url="https://there"), "timeout", 2),
        (NoCredentialsError(), "unreachable", 1),
        (ConnectionResetError("gone"), "unreachable", 2),
    ],
)
def test_each_error_has_its_reason_and_is_tried_again_if_it_may_pass(
    readings, hold, monkeypatch, raised, reason, calls
):
    asking, called = connect(), []

    class Client:
        def invoke_endpoint(self, **request):
            called.append(request)
            raise raised

    monkeypatch.setattr(asking._transport, "_client", Client())
    monkeypatch.setattr(asking, "_sleep", [].append)
    assert hold(asking.score(readings(4)), 4) == {reason}
    assert len(called) == calls
    assert called[0]["EndpointName"] == "rooms"


def test_a_variant_can_be_named(monkeypatch):
    assert SageMakerTransport("rooms", 1.0, "eu-west-1", "blue")._target == {
        "EndpointName": "rooms",
        "TargetVariant": "blue",
    }
