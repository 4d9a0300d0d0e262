"""The comparison of methods: its widths, its table, and one short run with real processes."""

import pytest

from benchmarks.method_comparison import Comparison, compare, table, widths
from tests.pipelines.conftest import PHANTOM, succeed


def row(figure, label, value, low=None, high=None):
    return {"figure": figure, "scope": label, "value": value, "low": low, "high": high}


def result(method, seed, kid):
    synthetic = [row("kid", "ring", kid, kid - 0.1, kid + 0.1), row("recall", "ring", 0.5), row("kid", "normal", None)]
    report = {"classes": ["ring", "normal"], "synthetic": synthetic, "real": [row("kid", "ring", 0.01)]}
    return {"method": method, "seed": seed, "steps": 70, "seconds_per_thousand": 1.26, "megabytes": 900.4} | {
        "report": report
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.25", {"": 0.25}), ("0.25,r3gan=0.125", {"": 0.25, "r3gan": 0.125})],
)
def test_widths_of_single_methods(text, expected):
    assert widths(text) == expected


def test_table_has_a_row_for_every_class_of_every_run_and_of_real_images():
    lines = table([result("sagan", 1, 0.3), result("gan", 0, 0.2)]).splitlines()
    assert len(lines) == 2 + 3 * 2
    assert lines[2].startswith("| gan | 0 | 70 | ring | 0.2 (0.1 to 0.3) |  | 0.5 |")
    assert lines[2].endswith("| 1.3 | 900 |")
    assert lines[3].startswith("|  |  |  | normal |  |")
    assert lines[4].startswith("| sagan | 1 |")
    assert lines[6].startswith("| real |  |  | ring | 0.01 |")


@pytest.mark.slow
def test_a_method_is_trained_for_a_time_and_judged_and_not_again(tmp_path, run_stage):
    succeed(run_stage("make_shards", output=tmp_path / "shards", **PHANTOM))
    comparison = Comparison(
        shards=str(tmp_path / "shards"),
        output=tmp_path / "compared",
        features="pixels",
        minutes=0.05,
        num_folds=3,
        fold=0,
        image_size=32,
        widths={"": 0.05},
        batch=4,
        drawn=20,
    )
    (found,) = compare(comparison, ["gan"], [3])
    assert found["steps"] > 10
    assert found["steps"] / found["seconds"] < 3 * found["steps_per_second"]
    assert {row["figure"] for row in found["report"]["synthetic"]} >= {"kid", "recall", "ms_ssim", "copies_pixels"}
    assert compare(comparison, ["gan"], [3]) == [found]
