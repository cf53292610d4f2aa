"""docs/models.md says what the code does."""

import doctest
import json
import re
from pathlib import Path
from typing import get_args

import msgspec
import yaml

from eddyline.io.endpoint import HttpEndpoint, endpoint_of
from eddyline.io.endpoint.body import body_of, scores_of
from eddyline.pipeline.train import Training
from eddyline.schemas.scoring import ScoringReason

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def text():
    return PAGE.read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", text(), flags=re.DOTALL)


def test_the_examples_run():
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    result = doctest.testfile(str(PAGE), module_relative=False, optionflags=flags, encoding="utf-8")
    assert result.attempted >= 5
    assert result.failed == 0


def test_every_endpoint_of_the_page_is_one():
    told = [yaml.safe_load(block) for block in blocks("yaml")]
    kinds = [
        endpoint_of(each["endpoint"]).__struct_config__.tag for each in told if "endpoint" in each
    ]
    assert kinds == ["http", "sagemaker", "vertex"]


def test_the_request_and_the_answer_are_those_of_the_page():
    request, answer = blocks("json")
    instances = json.loads(request)["instances"]
    assert json.loads(body_of(instances)) == json.loads(request)
    assert scores_of(answer.encode(), len(instances)) == [0.12, 0.97]


def test_every_reason_has_its_words():
    rows = re.findall(r"^\| `([a-z_]+)` \| [a-z]", text(), flags=re.MULTILINE)
    assert set(get_args(ScoringReason)) <= set(rows)


def test_the_defaults_of_the_page_are_those_of_the_code():
    defaults = {f.name: f.default for f in msgspec.structs.fields(HttpEndpoint)}
    for name in ("max_rows", "timeout", "tries", "patience", "rate", "rest"):
        assert f"| `{name}` | {defaults[name]:g} |" in text()
    training = Training(lake="lake")
    assert f"may be anomalies ({training.alarm_rate})" in text()
    assert f"train on ({training.sample:,})" in text()
    assert f"mean is over ({training.window})" in text()
