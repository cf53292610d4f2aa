"""YAML as people mean it, with lines."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.transforms.policy.yaml_document import read_yaml


def test_words_and_times_stay_words():
    document = read_yaml(b"off: [no, on, yes, 22:00, 1:30, 2026-01-05, 1_000, 0x10]")
    [(key, values)] = document.value.items()
    assert key == "off"
    assert values == ["no", "on", "yes", "22:00", "1:30", "2026-01-05", "1_000", "0x10"]


def test_numbers_truths_and_nothing_are_what_they_are():
    document = read_yaml(b"[1, -3, 010, 1.5, .5, 1e3, .inf, true, False, null, ~, ]")
    assert document.value == [1, -3, 10, 1.5, 0.5, 1000.0, float("inf"), True, False, None, None]


def test_a_key_that_is_there_twice_is_refused_wherever_it_is():
    with pytest.raises(ValueError, match="line 3: 'b' is there twice, first on line 2"):
        read_yaml(b"a:\n- b: 1\n  b: 2\n")


def test_a_merged_key_may_be_said_again():
    document = read_yaml(b"a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\n")
    assert document.value["b"] == {"x": 3, "y": 2}


def test_lines_are_those_of_the_keys():
    document = read_yaml(b"# words\nrules:\n- match:\n    site: a\n  quiet: 5m\n-\n  quiet: 7m\n")
    assert document.line(["rules"]) == 2
    assert document.line(["rules", 0]) == 3
    assert document.line(["rules", 0, "match", "site"]) == 4
    assert document.line(["rules", 0, "quiet"]) == 5
    assert document.line(["rules", 1]) == 7
    assert document.line(["rules", 7, "quiet"]) == 2
    assert document.line([]) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: [", "line 1, column 5: no YAML"),
        (b"a: 1\n---\nb: 2\n", "line 2, column 1: no YAML: but found another document"),
        (b"a: !!python/object:os.system x", "could not determine a constructor"),
        (b"? [a]\n: 1", "unhashable key"),
        (b"\xff\xff", "no YAML"),
        (b"\x00", "no YAML"),
        (b"[" * 5000, "nested too deeply"),
    ],
)
def test_what_is_no_yaml_is_a_value_error(content, words):
    with pytest.raises(ValueError, match=words):
        read_yaml(content)


@pytest.mark.parametrize("content", [b"a: 'xoxb-secret", b"a: xoxb-secret: b", b"xoxb-secret: [}"])
def test_an_error_quotes_no_line_of_the_file(content):
    with pytest.raises(ValueError, match="no YAML") as refused:
        read_yaml(content)
    assert "xoxb" not in str(refused.value)


def test_an_empty_file_is_nothing():
    assert read_yaml(b"# only words\n").value is None


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content):
    with suppress(ValueError):
        read_yaml(content)
