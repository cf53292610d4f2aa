from benchmarks.quality.report import Run, Shape, markdown
from benchmarks.quality.summary import Value

RUN = Run(
    {"density": "abc1234", "windowed_gaussian": "abc1234"},
    {"River": "0.26"},
    {"density": (1, 2)},
    {"nab": Shape(100, 2, 1, "windows"), "intel/bias": Shape(50, 1, 2, "rows")},
    {"eno_box": "no eno_box"},
)
RESULTS = {
    "density": {
        "nab": {"nab_best": Value(66.4, 1.7, 2)},
        "intel/bias": {
            "auc": Value(0.91, 0.004, 2),
            "event_recall": Value(1.0, 0.0, 2),
            "chance": Value(0.25, 0.0, 2),
        },
    },
    "windowed_gaussian": {"nab": {"nab_best": Value(39.65, 0.0, 1)}},
}


def test_the_page_names_commit_seeds_and_what_was_left_out():
    page = markdown(RESULTS, RUN)
    assert "at commit abc1234 (density, windowed_gaussian), with River 0.26." in page
    assert "Seeds: density 1, 2." in page
    assert "- eno_box: no eno_box" in page


def test_a_recall_stands_beside_what_chance_hits():
    assert "| 1.0 (.250)" in markdown(RESULTS, RUN)


def test_a_goal_that_was_reached_is_bold_and_nab_shows_the_yardstick():
    page = markdown(RESULTS, RUN)
    assert "**66.4**" in page
    assert "66.4 ± 1.7" in page
    assert "39.65" in page


def test_no_line_ends_in_a_blank():
    assert all(line == line.rstrip() for line in markdown(RESULTS, RUN).splitlines())
