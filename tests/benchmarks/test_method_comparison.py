"""The comparison of methods: its widths, its table, and one short run with real processes."""

from dataclasses import replace

import pytest
from PIL import Image

from benchmarks.method_comparison import Comparison, Variant, compare, variants, widths
from benchmarks.method_tables import tables, write_side_by_side
from melgan.metrics.evaluation import Row
from pipelines.artefacts.evaluation import EvaluationReport
from tests.pipelines.conftest import PHANTOM, succeed
from tfrecords_tools.foundation.documents import as_plain, from_plain
from tfrecords_tools.foundation.errors import CommandError

GAN = [Variant("gan", {"method": "gan"})]


def row(name, scope, value, low=None, high=None):
    counts = {"evaluated": 30, "reference": 20}
    return Row(metric=name, name=name, scope=scope, better="lower", **counts, value=value, low=low, high=high)


def result(method, seed, kid):
    report = EvaluationReport(
        generator="f" * 64,
        method=method,
        classes=("ring", "normal"),
        image_size=64,
        features="pixels",
        features_identity="pixels",
        held_out=("train00-9.tfrec",),
        selected_by=(),
        shards_digest="d",
        curves={},
        synthetic=(
            row("kid", "ring", kid, kid - 0.1, kid + 0.1),
            row("recall", "ring", 0.5),
            row("coverage", "ring", 0.9),
            row("recall", "normal", 0.6),
            row("kid", "normal", None),
            row("accuracy_reverse", "all classes", 0.75),
        ),
        real=(
            row("kid", "ring", 0.01),
            row("recall", "ring", 0.8),
            row("coverage", "ring", 0.6),
            row("recall", "normal", 0.5),
        ),
    )
    settings = {"width": 0.25, "total_steps": 70}
    costs = {"seconds_per_thousand": 1.26, "megabytes": 900.4}
    return {"method": method, "seed": seed, "settings": settings, "report": as_plain(report), **costs}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.25", {"": 0.25}), ("0.25,r3gan=0.125", {"": 0.25, "r3gan": 0.125})],
)
def test_widths_of_single_methods(text, expected):
    assert widths(text) == expected


@pytest.mark.parametrize(
    ("text", "message"), [("gan=0.1", "--widths=gan=0.1 .*0.25,gan=0.1"), ("0.25,bagen=1", "--widths is 'bagen'; ")]
)
def test_widths_that_leave_methods_out_or_name_unknown_ones_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        widths(text)


def test_every_class_has_a_table_of_all_runs_and_of_real_images():
    ring, normal, every, served, cost = tables([result("sagan", 1, 0.3), result("gan", 0, 0.2)]).split("\n\n### ")
    _, _, header, _, first, second, real = ring.splitlines()
    assert header.startswith("| method | seed | KID | precision | recall |")
    assert first.startswith("| gan | 0 | 0.2 (0.1 to 0.3) |  | 0.5 |")
    assert second.startswith("| sagan | 1 | 0.3 (0.2 to 0.4) |")
    assert real.startswith("| real |  | 0.01 |")
    assert normal.splitlines()[4].startswith("| gan | 0 |  |  |")
    assert every.splitlines()[4] == "| gan | 0 |  |  |  |  |  |  |  | 0.75 |  |  |"
    assert served.splitlines()[-2:] == [
        "| gan | 0 | 0.62 | 1.00 | 0.62 | 0.81 |",
        "| sagan | 1 | 0.62 | 1.00 | 0.62 | 0.81 |",
    ]
    assert cost.splitlines()[-2:] == ["| gan | 0 | 0.25 | 70 | 1.3 | 900 |", "| sagan | 1 | 0.25 | 70 | 1.3 | 900 |"]


def test_variants_are_named_settings_of_a_method_and_follow_the_methods_in_tables():
    assert variants(["gan"], []) == GAN
    (found,) = variants([], ["no wrong labels: --method=bagan_gp --wrong_labels=false --width=0.1"])
    assert found == Variant("no wrong labels", {"method": "bagan_gp", "wrong_labels": "false", "width": "0.1"})
    assert found.config().wrong_labels is False
    *_, served, _ = tables([result("a variant", 0, 0.3), result("sagan", 1, 0.3)]).split("\n\n### ")
    rows = [line.split(" | ")[0] for line in served.splitlines()[4:]]
    assert rows == ["| sagan", "| a variant"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("nameless", "--variant=nameless"),
        (": --method=gan", "--variant=: "),
        ("a: --width=0.1", "--method="),
        ("a: --method=gans", "gans"),
        ("a: --method=gan --colour=red", "colour"),
        ("a: --method=gan --width=-1", "width"),
        ("gan: --method=cdragan", "one name"),
    ],
)
def test_variants_that_are_none_are_refused(text, named):
    with pytest.raises(ValueError, match=named):
        variants(["gan"], [text])


@pytest.mark.slow
def test_a_method_is_trained_for_a_time_and_evaluated_and_not_again(tmp_path, launch):
    succeed(launch("make_shards", output=tmp_path / "shards", **PHANTOM))
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
    interrupted = tmp_path / "compared" / "gan_3" / "gan" / "metrics.jsonl"
    interrupted.parent.mkdir(parents=True)
    interrupted.write_text("of a run that was not finished")
    (found,) = compare(comparison, GAN, [3])
    assert found["settings"]["total_steps"] > 10
    assert found["seconds"] == 3.0
    report = from_plain(EvaluationReport, found["report"])
    names = {row.name for row in report.synthetic}
    assert names >= {"kid", "recall", "ms_ssim", "copies_pixels", "accuracy_reverse"}
    assert compare(comparison, GAN, [3]) == [found]
    assert not interrupted.read_text().startswith("of a run")
    with pytest.raises(CommandError, match="comparison.json: .*minutes was 0.05, now 0.1"):
        compare(replace(comparison, minutes=0.1), GAN, [3])
    with pytest.raises(CommandError, match="gan_3: .*ema_decay"):
        compare(comparison, [Variant("gan", {"method": "gan", "ema_decay": "0.5"})], [3])
    write_side_by_side([found], tmp_path / "compared")
    with Image.open(tmp_path / "compared" / "malignant.png") as picture:
        assert picture.width > 2 * 64
