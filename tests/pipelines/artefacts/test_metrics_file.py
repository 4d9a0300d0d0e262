"""metrics.jsonl: what stays when a run resumes, and what a kill leaves behind."""

import json

import pytest

from pipelines.artefacts.metrics_file import METRICS_FILE, MetricsLine, MetricsWriter, read_metrics
from tfrecords_tools.foundation.errors import DataError


def test_lines_are_read_back_in_order(tmp_path):
    writer = MetricsWriter(tmp_path, "gan", 0)
    writer.write(1, {"loss": 0.5})
    writer.write(2, {"loss": 0.25})
    expected = [MetricsLine("gan", 1, {"loss": 0.5}), MetricsLine("gan", 2, {"loss": 0.25})]
    assert read_metrics(tmp_path) == expected
    lines = [json.loads(line) for line in (tmp_path / METRICS_FILE).read_text().splitlines()]
    assert lines == [{"series": "gan", "step": 1, "loss": 0.5}, {"series": "gan", "step": 2, "loss": 0.25}]


def test_the_lines_of_a_series_are_read_alone(tmp_path):
    for series in ("autoencoder", "gan"):
        MetricsWriter(tmp_path, series, 0).write(1, {"loss": 0.5})
    assert read_metrics(tmp_path, "gan") == [MetricsLine("gan", 1, {"loss": 0.5})]
    assert read_metrics(tmp_path, "fold0") == []
    assert read_metrics(tmp_path / "nowhere") == []


def test_resuming_from_a_checkpoint_drops_later_lines_of_that_series_only(tmp_path):
    for series in ("autoencoder", "gan"):
        writer = MetricsWriter(tmp_path, series, 0)
        for step in (1, 2, 3):
            writer.write(step, {"loss": 1.0})
    MetricsWriter(tmp_path, "gan", 2)
    kept = [(line.series, line.step) for line in read_metrics(tmp_path)]
    assert kept == [("autoencoder", 1), ("autoencoder", 2), ("autoencoder", 3), ("gan", 1), ("gan", 2)]


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path):
    MetricsWriter(tmp_path, "gan", 0).write(1, {"loss": 1.0})
    with open(tmp_path / METRICS_FILE, "a", encoding="utf-8") as file:
        file.write('{"series": "gan", "st')
    assert [line.step for line in read_metrics(tmp_path)] == [1]
    MetricsWriter(tmp_path, "gan", 1).write(2, {"loss": 1.0})
    assert [line.step for line in read_metrics(tmp_path)] == [1, 2]


def test_lines_after_a_rollback_are_dropped_and_written_anew(tmp_path):
    other, writer = MetricsWriter(tmp_path, "diversity", 0), MetricsWriter(tmp_path, "gan", 0)
    other.write(3, {"benign": 1.0})
    for step in (1, 2, 3):
        writer.write(step, {"loss": 1.0})
    writer.drop_after(1)
    writer.write(2, {"loss": 2.0})
    assert [(line.series, line.step, line.metrics.get("loss")) for line in read_metrics(tmp_path)] == [
        ("diversity", 3, None),
        ("gan", 1, 1.0),
        ("gan", 2, 2.0),
    ]


@pytest.mark.parametrize("line", ["{", "[1]", '{"step": 3}', "3"])
def test_a_damaged_line_is_named(tmp_path, line):
    (tmp_path / "metrics.jsonl").write_text(MetricsLine("gan", 1, {"loss": 0.5}).as_text() + line + "\n")
    with pytest.raises(DataError, match=f"^{tmp_path}/metrics.jsonl: line 2 "):
        read_metrics(tmp_path)
