"""Globs and how much they say."""

import pickle

import pytest

from eddyline.transforms.policy.globs import Globs, rank


def test_globs_are_in_the_order_of_what_they_say():
    ordered = ["*", "?", "c*", "*-[ab]*", "cold-*", "cold-room-?", "a", "cold-room-7"]
    ranks = [rank(glob) for glob in ordered]
    assert ranks == sorted(ranks)
    assert rank("*") < rank("?") < rank("c*")


def test_a_whole_name_says_more_than_the_longest_glob():
    assert rank("a") > rank("a-very-long-beginning-*")


def test_case_matters():
    assert Globs.of("Cold-*").match("cold-7") is None


def test_a_name_that_looks_like_a_pattern_is_a_name():
    assert Globs.of("a.c").match("abc") is None
    assert Globs.of("a.c").match("a.c") is not None


def test_a_glob_matches_the_whole_name():
    assert Globs.of("cold").match("cold-7") is None
    assert Globs.of("cold").match("ice-cold") is None
    assert Globs.of("a*").match("a\nb") is not None


def test_the_most_that_one_of_several_says_counts():
    assert Globs.of(["*", "cold-*", "c*"]).match("cold-7") == rank("cold-*")


@pytest.mark.parametrize("glob", ["*", "a*", "a"])
def test_no_name_matches_no_glob(glob):
    assert Globs.of(glob).match(None) is None


def test_globs_pickle():
    globs = Globs.of(["a*", "b"])
    again = pickle.loads(pickle.dumps(globs))
    assert again == globs
    assert again.match("b") == globs.match("b")
