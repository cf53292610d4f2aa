from benchmarks.quality.regression import regressions
from benchmarks.quality.summary import Value


def results(measure, mean, deviation=0.0, seeds=1, contender="density"):
    return {contender: {"nab": {measure: Value(mean, deviation, seeds)}}}


def found(measure, before, now, **spread):
    return regressions(
        results(measure, before, **spread), results(measure, now, **spread), ["density"]
    )


def test_a_fall_beyond_the_seeds_is_a_regression():
    (one,) = found("nab_best", 66.0, 60.0, deviation=2.0, seeds=5)
    assert (one.dataset, one.before, one.now) == ("nab", 66.0, 60.0)
    assert "66 -> 60" in str(one)


def test_a_fall_within_the_seeds_is_none():
    assert not found("nab_best", 66.0, 63.0, deviation=2.0, seeds=5)


def test_a_rise_is_none():
    assert not found("auc", 0.8, 0.9)


def test_more_alarms_are_a_regression_and_fewer_are_none():
    assert found("alarms_per_1000", 1.0, 2.0)
    assert not found("alarms_per_1000", 2.0, 1.0)


def test_without_seeds_a_measures_own_least_change_is_allowed():
    assert not found("auc", 0.9, 0.898)
    assert found("auc", 0.9, 0.896)


def test_one_event_of_few_is_no_regression_and_two_are():
    def recall(hits):
        measures = {"event_recall": Value(hits / 18, 0.0, 1), "events": Value(18.0, 0.0, 1)}
        return {"density": {"injected": measures}}

    assert not regressions(recall(16), recall(15), ["density"])
    assert regressions(recall(16), recall(14), ["density"])


def test_what_only_one_run_has_is_not_compared():
    assert not regressions({}, results("auc", 0.1), ["density"])
    assert not regressions(results("auc", 0.9), {}, ["density"])


def test_contenders_of_others_do_not_fail_a_run():
    before = results("auc", 0.9, contender="river_loda")
    now = results("auc", 0.1, contender="river_loda")
    assert not regressions(before, now, ["density"])
    assert regressions(before, now, ["river_loda"])
