"""Secrets are read by reference and told nowhere."""

import io
import json
import logging
import pickle

import boto3
import cloudpickle
import pytest
from google.api_core import exceptions
from google.cloud import secretmanager
from moto import mock_aws

from eddyline.io.alerts.senders import open_sender
from eddyline.io.secret import HideSecrets, Secrets, SecretUnavailable
from eddyline.schemas.alert import Failed
from eddyline.schemas.alert_channel import SlackChannel


class Store:
    def __init__(self, **values):
        self.values, self.asked = values, 0

    def __call__(self, name):
        self.asked += 1
        return self.values[name]


def test_a_secret_is_kept_some_minutes_and_then_read_again():
    now, store = [0.0], Store(KEY="first-secret")
    secrets = Secrets(lambda: now[0], keep=300.0, stores={"env": store})
    assert [secrets.read("env:KEY") for _ in range(3)] == ["first-secret"] * 3
    assert store.asked == 1
    store.values["KEY"], now[0] = "second-secret", 300.0
    assert secrets.read("env:KEY") == "second-secret"


def test_renew_says_whether_something_changed():
    store = Store(KEY="first-secret")
    secrets = Secrets(lambda: 0.0, stores={"env": store})
    secrets.read("env:KEY")
    assert not secrets.renew()
    store.values["KEY"] = "second-secret"
    assert secrets.renew()
    assert secrets.read("env:KEY") == "second-secret"


def test_old_and_new_secrets_are_blanked_out_also_in_part():
    store = Store(KEY="https://hooks.example/services/T0/B0/abc", OTHER="https://hooks.example/s")
    secrets = Secrets(lambda: 0.0, stores={"env": store})
    secrets.read("env:KEY")
    store.values["KEY"] = "rotated-secret"
    secrets.renew()
    told = secrets.redact("POST /services/T0/B0/abc, then rotated-secret")
    assert told == "POST /[secret], then [secret]"


def test_secrets_are_in_no_repr_and_in_no_pickle():
    secrets = Secrets(lambda: 0.0, stores={"env": Store(KEY="hush-hush")})
    secrets.read("env:KEY")
    assert "hush" not in repr(secrets)
    for pickler in (pickle, cloudpickle):
        with pytest.raises(TypeError, match="stay in their process"):
            pickler.dumps(secrets)


def test_the_filter_blanks_out_a_librarys_lines():
    secrets, hide, stream = (
        Secrets(stores={"env": Store(KEY="hush-hush")}),
        HideSecrets(),
        io.StringIO(),
    )
    hide.watch(secrets)
    secrets.read("env:KEY")
    logger = logging.getLogger("a.talkative.library")
    handler = logging.StreamHandler(stream)
    logger.addFilter(hide)
    logger.addHandler(handler)
    logger.warning("POST %s", "https://x/hush-hush")
    logger.removeHandler(handler)
    assert stream.getvalue() == "POST https://x/[secret]\n"


def test_the_environment_and_files_are_read(monkeypatch, tmp_path):
    monkeypatch.setenv("HOOK", "from-the-environment")
    (tmp_path / "key").write_text("from-a-file\n")
    assert Secrets().read("env:HOOK") == "from-the-environment"
    assert Secrets().read(f"file:{tmp_path}/key") == "from-a-file"


@pytest.mark.parametrize("reference", ["env:NOT_SET_HERE", "file:/nowhere/key", "vault:x"])
def test_what_is_not_there_is_said_by_its_reference_and_is_permanent(reference):
    with pytest.raises(SecretUnavailable) as unavailable:
        Secrets().read(reference)
    assert unavailable.value.permanent
    assert reference.partition(":")[0] in str(unavailable.value)


@pytest.fixture
def aws(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        yield boto3.client("secretsmanager")


def test_aws_secrets_manager_gives_a_text_or_one_key_of_it(aws):
    aws.create_secret(Name="slack", SecretString="whole-text")
    aws.create_secret(Name="all", SecretString=json.dumps({"slack": "one-key"}))
    assert Secrets().read("aws-secret:slack") == "whole-text"
    assert Secrets().read("aws-secret:all#slack") == "one-key"
    for name in ("gone", "slack#key", "all#other"):
        with pytest.raises(SecretUnavailable) as unavailable:
            Secrets().read(f"aws-secret:{name}")
        assert unavailable.value.permanent
        assert "whole-text" not in str(unavailable.value)


@pytest.mark.parametrize(
    ("error", "permanent"),
    [(exceptions.NotFound("no"), True), (exceptions.ServiceUnavailable("down"), False)],
)
def test_secret_manager_is_asked_for_the_latest_version(monkeypatch, error, permanent):
    asked = []

    class Client:
        def access_secret_version(self, name, timeout):
            asked.append(name)
            if "gone" in name:
                raise error
            payload = secretmanager.SecretPayload(data=b"from-google\n")
            return secretmanager.AccessSecretVersionResponse(name=name, payload=payload)

    monkeypatch.setattr(secretmanager, "SecretManagerServiceClient", Client)
    assert Secrets().read("gcp-secret:projects/p/secrets/s") == "from-google"
    assert Secrets().read("gcp-secret:projects/p/secrets/s/versions/3") == "from-google"
    assert asked == ["projects/p/secrets/s/versions/latest", "projects/p/secrets/s/versions/3"]
    with pytest.raises(SecretUnavailable) as unavailable:
        Secrets().read("gcp-secret:projects/p/secrets/gone")
    assert unavailable.value.permanent == permanent


def test_a_secret_that_is_not_there_fails_the_attempt_and_not_the_worker(monkeypatch):
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    with pytest.raises(Failed, match="env:NOT_SET_HERE is not set") as failed:
        open_sender(SlackChannel(webhook="env:NOT_SET_HERE")).send(None)
    assert (failed.value.status, failed.value.permanent) == ("secret", True)
