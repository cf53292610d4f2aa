"""Settings: given over file over default, each wrong value refused by its option's name."""

from dataclasses import fields
from typing import get_args, get_type_hints

import pytest
from apache_beam.options.pipeline_options import PortableOptions

from eddyline.pipeline.options import LONGEST, beam_options
from eddyline.pipeline.settings import Settings, settings_of


def test_what_is_given_goes_over_the_file_and_the_file_over_the_default(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("shards: 4\nallowed-lateness: 60\n")
    settings = settings_of({"shards": "8"}, str(file))
    assert (settings.shards, settings.allowed_lateness, settings.remember) == (8, 60, 64)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"shards": 0}, "--shards: Expected `int` >= 1"),
        ({"shards": "many"}, "--shards: Expected `int`, got `str`"),
        ({"disorder": -1}, "--disorder: Expected `float` >= 0.0"),
        ({"flush_seconds": 0}, "--flush-seconds: Expected `float` > 0.0"),
        ({"earliest": "2020-01-01"}, "--earliest: Invalid RFC3339"),
        ({"earliest": "2020-01-01T00:00:00"}, "--earliest: Expected `datetime` with a timezone"),
        ({"lake": ""}, "--lake: Expected `str` of length >= 1"),
        ({"drop": [{"rule": "all"}]}, "--drop.*drop rule 'all': name a device or a type"),
        ({"drop": [{"rule": "a b", "device": "x"}]}, "--drop.*letters, digits and underscores"),
        ({"sourec": "x"}, "no setting 'sourec'"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(given, words):
    with pytest.raises(ValueError, match=words):
        settings_of(given)


@pytest.mark.parametrize(
    ("text", "words"), [("- a list", "settings as `name: value`"), ("a: [", "expected")]
)
def test_a_file_that_is_no_settings_is_refused(tmp_path, text, words):
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=words):
        settings_of({}, str(file))


def test_every_setting_has_words_of_its_own():
    hints = get_type_hints(Settings, include_extras=True)
    words = [get_args(hints[f.name])[1].description for f in fields(Settings)]
    assert all(text and text.endswith(".") for text in words)
    assert len(set(words)) == len(words)


def test_beams_client_does_not_give_up_a_long_job_unless_told_to():
    portable = beam_options(["--runner=PrismRunner"]).view_as(PortableOptions)
    assert portable.job_server_timeout == LONGEST
    told = beam_options(["--runner=PrismRunner", "--job_server_timeout=7"])
    assert told.view_as(PortableOptions).job_server_timeout == 7


def test_flinks_own_options_are_taken():
    options = beam_options(["--runner=FlinkRunner", "--checkpointing_interval=3000"])
    assert options.get_all_options()["checkpointing_interval"] == 3000
