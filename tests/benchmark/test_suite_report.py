"""Tables and summary say what the numbers say."""

import pytest

from skood.benchmark._suite_report import in_set_tables, suite_summary, summarise


def entry(**auroc):
    rows = {out: {"auroc": a, "auprc": 0.5, "flagged": 0.25} for out, a in auroc.items()}
    groups = {out: {"auroc": 1.0, "auprc": 1.0} for out in auroc}
    numbers = {"seconds_fit": 12.0, "rows_per_second": 3456.0, "fpr": 0.05}
    return {**numbers, "rows": rows, "groups": groups, "plain": {"all black": 1.0}}


@pytest.fixture
def results():
    first = {"A": entry(x=0.9, y=0.5), "B": entry(x=0.7, y=0.6), "C": entry(x=0.6, y=0.4)}
    second = {"A": entry(x=0.7, y=0.3), "B": entry(x=0.7, y=0.6), "C": {"absent": "Too small."}}
    table = {"A": entry(x=0.1), "B": entry(x=0.1)}
    return {
        "one": {"kind": "images", "runs": [first, second]},
        "two": {"kind": "images", "runs": [{"A": entry(z=0.2), "C": entry(z=0.1)}]},
        "a table": {"kind": "tables", "runs": [table]},
    }


def test_the_summary_of_pairs_averages_seeds_first(results):
    summary = summarise(results, "images", "rows")
    assert summary["A"]["mean"] == pytest.approx((0.8 + 0.4 + 0.2) / 3)
    assert summary["A"]["worst_pair"] == "two: z"
    assert summary["B"]["worst"] == pytest.approx(0.6)
    assert summary["B"]["n_pairs"] == 2


def test_ranks_are_among_the_detectors_that_are_there(results):
    summary = summarise(results, "images", "rows")
    ranks = {label: entry["rank"] for label, entry in summary.items()}
    assert ranks == {"A": pytest.approx((1 + 2 + 1) / 3), "B": 1.5, "C": 2.0}
    assert list(summary) == ["A", "B", "C"]


def test_equal_detectors_share_a_rank(results):
    summary = summarise(results, "tables", "rows")
    assert {entry["rank"] for entry in summary.values()} == {1.5}


def test_images_and_tables_are_summarised_apart(results):
    text = suite_summary(results)
    assert "All images, AUROC of rows" in text and "All tables, AUROC of groups" in text
    assert "a table: x" in text.split("All tables, AUROC of rows")[1]
    assert "a table" not in text.split("All tables")[0]


def test_the_tables_of_a_data_set_name_who_is_absent_and_why(results):
    text = in_set_tables("one", results["one"])
    assert "C absent: Too small." in text
    assert not any(line.startswith("C ") and "absent" not in line for line in text.splitlines())


def test_the_tables_of_a_data_set_have_a_line_for_each_detector(results):
    lines = in_set_tables("one", results["one"]).splitlines()
    overview = next(line for line in lines if line.startswith("A "))
    assert overview.split()[1:] == "0.600 1.000 0.500 1.000 0.250 0.050 12 3456".split()
    rows = lines.index("one in: AUROC, rows")
    assert lines[rows + 3].split() == ["A", "0.800", "0.400"]


def test_single_images_stand_beside_the_flagged_parts(results):
    flagged = in_set_tables("one", results["one"]).split("one in: flagged")[1]
    assert flagged.split()[:4] == ["x", "y", "all", "black"]
    assert "0.250     0.250     1.000" in flagged
