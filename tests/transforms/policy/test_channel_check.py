"""Channels of the policy file: right settings, and no secret in the file."""

import pytest

from eddyline.transforms.policy.channel_check import read_channel, secret_references
from eddyline.transforms.policy.misread import Misread

TOKEN = "xoxb-0123456789"
MAIL = {"kind": "smtp", "host": "h", "from": "a@b.c", "to": ["d@e.f"], "user": "u"}


@pytest.mark.parametrize(
    ("written", "where"),
    [
        ({"kind": "slack", "token": TOKEN, "channel": "#a"}, ["token"]),
        ({"kind": "slack", "webhook": f"https://hooks.slack.com/{TOKEN}"}, ["webhook"]),
        ({**MAIL, "password": TOKEN}, ["password"]),
        ({"kind": "pagerduty", "routing_key": TOKEN}, ["routing_key"]),
        ({"kind": "apprise", "url": f"tgram://{TOKEN}"}, ["url"]),
        ({"kind": "webhook", "url": "https://a.b/", "secret": TOKEN}, ["secret"]),
        ({"kind": "webhook", "url": f"https://u:{TOKEN}@a.b/"}, ["url"]),
        ({"kind": "webhook", "url": f"https://a.b/?api_key={TOKEN}"}, ["url"]),
        ({"kind": "webhook", "url": f"https://hooks.slack.com/services/{TOKEN}"}, ["url"]),
        ({"kind": "webhook", "url": "https://a.b/", "headers": {"Authorization": TOKEN}},
         ["headers", "Authorization"]),
        ({"kind": "webhook", "url": "https://a.b/", "headers": {"X-Api-Key": f"env: {TOKEN}"}},
         ["headers", "X-Api-Key"]),
    ],
)  # fmt: skip
def test_a_secret_in_the_file_is_refused_with_what_to_do_and_is_not_repeated(written, where):
    with pytest.raises(
        Misread, match="write it into an environment variable and say env:NAME"
    ) as e:
        read_channel("ops", written)
    assert e.value.path == ("channels", "ops", *where)
    assert TOKEN not in str(e.value)


@pytest.mark.parametrize("written", [{"kind": "slack", "tokn": TOKEN}, {"kind": "file", TOKEN: ""}])
def test_a_wrong_key_is_named_without_its_value(written):
    with pytest.raises(Misread, match="no such key") as refused:
        read_channel("ops", written)
    assert TOKEN not in str(refused.value) or TOKEN in written


@pytest.mark.parametrize(
    ("written", "references"),
    [
        ({"kind": "slack", "webhook": "env:HOOK"}, {"webhook": "env:HOOK"}),
        ({**MAIL, "password": "file:/run/mail"}, {"password": "file:/run/mail"}),
        ({"kind": "stdout"}, {}),
        ({"kind": "webhook", "url": "https://a.b/?v=2", "headers": {"X-Team": "ops"}}, {}),
        (
            {"kind": "webhook", "url": "env:URL", "secret": "aws-secret:a#b",
             "headers": {"Authorization": "gcp-secret:projects/p/secrets/s"}},
            {"url": "env:URL", "secret": "aws-secret:a#b",
             "headers.Authorization": "gcp-secret:projects/p/secrets/s"},
        ),
    ],
)  # fmt: skip
def test_references_are_taken_and_found(written, references):
    assert secret_references(read_channel("ops", written)) == references


def test_durations_among_the_limits_are_spelled_like_all_others():
    limits = {"timeout": "2s", "age": "1h", "first_wait": 0.5, "pause": "1m"}
    channel = read_channel("ops", {"kind": "stdout", "limits": limits})
    assert channel.limits.timeout == 2.0
    assert channel.limits.age == 3600.0
    assert channel.limits.first_wait == 0.5
    assert channel.limits.pause == 60.0


@pytest.mark.parametrize(
    ("written", "where", "words"),
    [
        ({}, (), "'kind' is missing"),
        ({"kind": "slak"}, ("kind",), "did you mean 'slack'"),
        ({"kind": "smtp", "host": "h"}, (), "is missing"),
        ({**MAIL, "tls": "start"}, ("tls",), "did you mean 'starttls'"),
        ({"kind": "webhook", "url": "ftp://x"}, ("url",), "begins with https://"),
        ({"kind": "stdout", "limits": {"timeout": "2q"}}, ("limits", "timeout"), "is no duration"),
        ({"kind": "stdout", "limits": {"timeout": 0}}, ("limits", "timeout"), "> 0"),
        ({"kind": "stdout", "limits": {"rates": 1}}, ("limits", "rates"), "did you mean 'rate'"),
        ({"kind": "stdout", "limits": 3}, ("limits",), "lines"),
        ({"kind": "slack"}, (), "webhook"),
    ],
)  # fmt: skip
def test_a_wrong_channel_is_refused_with_its_place_and_words(written, where, words):
    with pytest.raises(Misread, match=words) as refused:
        read_channel("ops", written)
    assert refused.value.path == ("channels", "ops", *where)
