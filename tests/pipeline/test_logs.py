"""Log lines: JSON for machines, whoever wrote them."""

import json
import logging

import pytest
import structlog

from eddyline.pipeline.logs import set_up_logs


@pytest.fixture
def logs():
    root = logging.getLogger()
    before = root.handlers, root.level
    yield set_up_logs
    root.handlers, root.level = before
    structlog.reset_defaults()


def test_our_own_and_a_librarys_lines_are_json_objects_alike(logs, capsys):
    logs(level="INFO", as_json=True)
    structlog.get_logger("eddyline").warning("registry kept", path="a.csv")
    logging.getLogger("apache_beam").info("started %d workers", 2)
    logging.getLogger("apache_beam").debug("not shown")
    ours, theirs = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["path"], ours["level"]) == ("registry kept", "a.csv", "warning")
    assert (theirs["event"], theirs["logger"]) == ("started 2 workers", "apache_beam")
    assert ours["timestamp"].endswith("Z")


def test_an_exception_is_part_of_its_line(logs, capsys):
    logs(as_json=True)
    try:
        raise RuntimeError("disk full")
    except RuntimeError:
        logging.getLogger("x").exception("could not write")
    assert "disk full" in json.loads(capsys.readouterr().err)["exception"]


def test_a_terminal_gets_words(logs, capsys):
    logs(as_json=False)
    logging.getLogger("x").warning("look here")
    told = capsys.readouterr().err
    assert "look here" in told
    assert not told.startswith("{")


def test_a_level_that_is_none_is_refused(logs):
    with pytest.raises(ValueError, match="LOUD"):
        logs(level="loud")
