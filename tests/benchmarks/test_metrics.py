import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import metrics

from benchmarks.quality.metrics import (
    DAY,
    alarm_measures,
    average_precision,
    chance_of_hit,
    judge_alarms,
    new_alarms,
    roc_auc,
    runs,
)

labelled = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40)


def mask(text):
    return np.array([letter == "x" for letter in text])


def test_a_perfect_ranking_has_area_1_and_the_reverse_0():
    label = mask("..xx")
    assert roc_auc(label, np.arange(4.0)) == 1.0
    assert roc_auc(label, -np.arange(4.0)) == 0.0


@given(labelled)
def test_the_area_is_the_chance_that_a_positive_ranks_above_a_negative(rows):
    label = np.array([positive for positive, _ in rows])
    score = np.array([value for _, value in rows], np.float64)
    if label.all() or not label.any():
        assert np.isnan(roc_auc(label, score))
        return
    pairs = score[label][:, None] - score[~label][None, :]
    assert roc_auc(label, score) == pytest.approx(np.mean((pairs > 0) + 0.5 * (pairs == 0)))


def test_the_area_is_what_river_says():
    random = np.random.default_rng(7)
    label = random.random(500) < 0.2
    score = random.normal(size=500) + label
    theirs = metrics.RollingROCAUC(window_size=500)
    for truth, value in zip(label, score, strict=True):
        theirs.update(bool(truth), float(value))
    assert roc_auc(label, score) == pytest.approx(theirs.get())


def test_a_score_that_is_not_ready_ranks_last():
    assert roc_auc(mask("x.x."), np.array([np.nan, 0.0, 5.0, 1.0])) == 0.5


def test_average_precision_by_hand():
    # Down the ranking: hit (1 of 1), miss, hit (2 of 3), miss.
    label = mask("x.x.")
    assert average_precision(label, np.array([4.0, 3.0, 2.0, 1.0])) == pytest.approx(
        (1.0 + 2.0 / 3.0) / 2.0
    )


def test_equal_scores_share_one_precision():
    assert average_precision(mask("x..."), np.zeros(4)) == 0.25


def test_runs_reach_to_the_edges():
    assert runs(mask("xx.x")).tolist() == [[0, 2], [3, 4]]
    assert runs(mask("...")).tolist() == []


def test_an_alarm_is_new_only_at_its_first_row():
    assert new_alarms(mask("xx.xx")).tolist() == mask("x..x.").tolist()


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30), st.integers(1, 10)
)
def test_chance_tries_every_place_that_is_allowed(rows, length):
    hits, allowed = ([row[column] for row in rows] for column in (0, 1))
    found = chance_of_hit(np.array(hits), np.array(allowed), length)
    places = [
        any(hits[start : start + length])
        for start in range(len(hits) - length + 1)
        if all(allowed[start : start + length])
    ]
    if places:
        assert found == pytest.approx(np.mean(places))
    else:
        assert np.isnan(found)


def judged(label, alarm, first=0, step=DAY):
    return judge_alarms(mask(label), mask(alarm), np.arange(len(label)) * step, first)


def test_an_alarm_that_was_on_before_recalls_the_event_but_not_its_onset():
    found = judged("..xx..", ".xxx..")
    assert found.hit.tolist() == [True]
    assert found.hit_anew.tolist() == [False]


def test_the_delay_counts_from_the_first_row_of_the_event():
    found = judged("..xxx..xx", "...xx....")
    assert found.delay[0] == 1.0
    assert found.delay_seconds[0] == 86_400.0
    assert np.isnan(found.delay[1])


def test_events_that_began_while_the_detector_learned_do_not_count():
    found = judged("xxxx..xx", "xxxx..xx", first=2)
    assert len(found.hit) == 1
    assert found.normal_rows == 2


def test_chance_is_taken_on_normal_rows_only():
    # Two windows of two normal rows, before the event without and behind it with an alarm.
    found = judged("..xx..", "..xxxx")
    assert found.chance.tolist() == [0.5]
    assert found.chance_anew.tolist() == [0.0]
    assert np.isnan(judged(".xx", "...").chance[0])


def test_alarms_inside_events_are_no_false_ones():
    found = judged(".xx..", ".xx.x")
    assert found.normal_under_alarm == 1
    assert found.normal_new_alarms == 1


def test_alarms_a_day_count_the_days_in_which_nothing_was_wrong():
    quiet = judged("." * 11, "x....x.....", step=DAY)
    assert alarm_measures([quiet])["alarms_a_day"] == pytest.approx(0.2)
    two = alarm_measures([quiet, judged("." * 11, "." * 11, step=DAY)])
    assert two["alarms_a_day"] == pytest.approx(0.1)


def test_sets_without_times_have_no_alarms_a_day():
    found = judged("..xx", "...x", step=0)
    measures = alarm_measures([found])
    assert np.isnan(measures["alarms_a_day"])
    assert np.isnan(measures["delay_seconds"])
    assert measures["delay_rows"] == 1.0


def test_every_event_weighs_the_same_whatever_its_device():
    one = judged("..x.x.x", "..x....")
    other = judged("..x....", "..x....")
    assert alarm_measures([one, other])["event_recall"] == 0.5


def test_the_time_around_an_event_is_no_quiet_time():
    assert judged("....x....", ".........").days == 6.0
