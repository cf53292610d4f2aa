import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality import nab, sets
from benchmarks.quality.windowed_gaussian import windowed_gaussian

WINDOW = (40, 49)


def sigmoid_worth(position):
    return 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


def detections(*rows, length=100):
    scores = np.zeros(length)
    scores[list(rows)] = 1.0
    return scores


def score(*rows, windows=(WINDOW,)):
    return nab.at_threshold([nab.Scored(detections(*rows), windows)], 1.0)


def test_no_detection_scores_0():
    assert score() == 0.0
    assert nab.optimum([nab.Scored(np.full(100, np.nan), [WINDOW])]) == (0.0, math.inf)


def test_a_detection_at_the_first_row_of_every_window_scores_100():
    assert score(40) == pytest.approx(100.0)
    assert score(40, 60, windows=(WINDOW, (60, 69))) == pytest.approx(100.0)


def test_a_window_missed_costs_half_of_its_share():
    assert score(40, windows=(WINDOW, (60, 69))) == pytest.approx(50.0)


def test_a_late_detection_is_worth_less_by_the_sigmoid():
    # Row 45 of 40..49: 5 of 10 rows are left, counted from behind the last one.
    expected = (1.0 + sigmoid_worth(-0.5) / sigmoid_worth(-1.0)) / 2.0
    assert score(45) == pytest.approx(100.0 * expected)


def test_only_the_first_detection_inside_a_window_counts():
    assert score(45, 46, 47) == pytest.approx(score(45))


def test_a_false_positive_before_all_windows_costs_its_full_weight():
    assert score(40, 30) == pytest.approx(100.0 * (2.0 - 0.11) / 2.0)


def test_a_false_positive_shortly_behind_a_window_costs_less():
    # Behind a window of 10 rows the distance counts in ninths.
    cost = -0.11 * sigmoid_worth(1 / 9)
    assert score(40, 50) == pytest.approx(100.0 * (2.0 - cost) / 2.0)
    assert score(40, 49 + 27) == pytest.approx(100.0 * (2.0 - 0.11) / 2.0)


def test_detections_while_the_detector_learns_do_not_count():
    assert score(40, *range(15)) == pytest.approx(100.0)
    assert score(40, 15) < 100.0


def test_the_time_to_learn_ends_at_750_rows():
    assert nab.probation(1_000_000) == 750


def test_the_optimum_is_one_threshold_for_the_whole_corpus():
    first = np.zeros(100)
    first[40] = 0.9
    second = np.zeros(100)
    second[40] = 0.5
    second[[20, 21, 22]] = 0.7
    corpus = [nab.Scored(first, [WINDOW]), nab.Scored(second, [WINDOW])]
    # Down to .5 both windows are found at the price of three false alarms.
    assert nab.optimum(corpus) == pytest.approx((100.0 * (4.0 - 0.33) / 4.0, 0.5))


def test_rows_of_equal_score_are_detected_together():
    scores = detections(40, *range(50, 100))
    best = nab.optimum([nab.Scored(scores, [(40, 44)])])
    assert best == (0.0, math.inf)


def test_a_corpus_without_windows_is_refused():
    with pytest.raises(ValueError, match="without anomaly windows"):
        nab.optimum([nab.Scored(np.zeros(10), [])])


@given(st.lists(st.integers(0, 9), min_size=60, max_size=60), st.integers(0, 10))
def test_no_threshold_beats_the_optimum(scores, threshold):
    corpus = [nab.Scored(np.array(scores, np.float64), [(20, 29), (40, 49)])]
    best = nab.optimum(corpus)
    assert nab.at_threshold(corpus, threshold) <= best.score + 1e-9
    assert nab.at_threshold(corpus, best.threshold) == pytest.approx(best.score)


@given(
    st.lists(st.integers(0, 3), min_size=50, max_size=50),
    st.integers(1, 3),
)
def test_the_score_is_what_the_rules_say_row_by_row(scores, threshold):
    windows = [(15, 21), (30, 30)]
    total = 0.0
    for first, last in windows:
        hits = [row for row in range(max(first, 7), last + 1) if scores[row] >= threshold]
        place = (hits[0] - last - 1) / (last - first + 1) if hits else 0.0
        total += sigmoid_worth(place) / sigmoid_worth(-1.0) if hits else -1.0
    for row in range(7, 50):
        before = [(first, last) for first, last in windows if last < row]
        if scores[row] >= threshold and not any(f <= row <= z for f, z in windows):
            place = 3.0
            if before:
                first, last = before[-1]
                place = (row - last) / max(last - first, 1)
            total += 0.11 * (sigmoid_worth(place) if place < 3.0 else -1.0)
    found = nab.at_threshold([nab.Scored(np.array(scores, np.float64), windows)], threshold)
    assert found == pytest.approx(100.0 * (total + 2.0) / 4.0)


@pytest.mark.job
def test_a_windowed_gaussian_reaches_its_published_score_on_the_whole_benchmark():
    try:
        series = sets.nab().devices
    except sets.Missing as reason:
        pytest.skip(str(reason))
    corpus = [nab.Scored(windowed_gaussian(one.values[:, 0]), one.windows) for one in series]
    assert sum(len(one.windows) for one in corpus) == 116
    assert round(nab.optimum(corpus).score, 2) == 39.65
    nothing = [nab.Scored(np.zeros(len(one.scores)), one.windows) for one in corpus]
    assert nab.at_threshold(nothing, 1.0) == 0.0
