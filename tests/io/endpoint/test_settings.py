import pickle

import pytest

from eddyline.io.endpoint import endpoint_of

HTTP = {"kind": "http", "url": "https://scoring.example/v1"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "endpoint: Object missing required field `kind`"),
        ({"kind": "grpc"}, "endpoint: Invalid value 'grpc'"),
        ({"kind": "http"}, "missing required field `url`"),
        ({**HTTP, "url": "scoring.example"}, "is no https:// address"),
        ({**HTTP, "url": "ftp://scoring.example"}, "is no https:// address"),
        ({**HTTP, "url": "http://scoring.example"}, "is not encrypted"),
        ({**HTTP, "url": "https://me:pw@scoring.example"}, "a password does not belong there"),
        ({**HTTP, "headers": {"Authorization": "Bearer abc"}}, "name the secret in place of"),
        ({**HTTP, "headers": {"X-Api-Key": "abc"}}, "name the secret in place of"),
        ({**HTTP, "max_rows": 0}, "`int` >= 1 - at `\\$.max_rows`"),
        ({**HTTP, "timeout": 0}, "at `\\$.timeout`"),
        ({**HTTP, "rate": 0}, "at `\\$.rate`"),
        ({**HTTP, "also": ["score"]}, "at `\\$.also"),
        ({**HTTP, "retries": 3}, "unknown field `retries`"),
        ({"kind": "sagemaker", "endpoint": ""}, "at `\\$.endpoint`"),
        ({"kind": "vertex", "project": "a", "endpoint": "1"}, "missing required field `location`"),
    ],
)
def test_what_is_wrong_is_told_by_its_name(given, words):
    with pytest.raises(ValueError, match=words):
        endpoint_of(given)


def test_an_unencrypted_endpoint_must_be_near_or_wanted():
    assert endpoint_of({**HTTP, "url": "http://localhost:8080/"})
    assert endpoint_of({**HTTP, "url": "http://scoring:8080/", "insecure": True})


@pytest.mark.parametrize(
    "given",
    [
        {**HTTP, "headers": {"Authorization": "Bearer {env:TOKEN}"}},
        {"kind": "sagemaker", "endpoint": "rooms"},
        {"kind": "vertex", "project": "farm", "location": "eu", "endpoint": "1"},
    ],
)
def test_an_endpoint_travels_to_the_workers(given):
    endpoint = endpoint_of(given)
    assert pickle.loads(pickle.dumps(endpoint)) == endpoint
    assert hash(endpoint) == hash(endpoint_of(given))
