"""Epochs of a classifier: which of them is the best."""

import math

import pytest

from pipelines.artefacts.epochs import Epoch, best_epoch, read_epochs, selected_epoch
from pipelines.artefacts.metrics_file import METRICS_FILE, MetricsLine


def epochs(*aucs: float) -> list[Epoch]:
    return [Epoch(number=n, step=10 * n, validation={"auc": auc}) for n, auc in enumerate(aucs, start=1)]


@pytest.mark.parametrize(
    ("aucs", "best"),
    [
        ((0.5, 0.7, 0.6), 2),
        ((0.7, 0.7), 1),
        ((math.nan, 0.4, 0.6), 3),
        ((0.4, math.nan), 1),
        ((math.nan, math.nan), 1),
    ],
)
def test_the_first_of_the_highest_aucs_is_the_best_and_one_that_is_no_number_the_worst(aucs, best):
    """The weights that are kept and the report go by it: each epoch is compared with those before it."""
    assert best_epoch(epochs(*aucs)).number == best
    kept = [own[-1].number for end in range(1, len(aucs) + 1) if best_epoch(own := epochs(*aucs[:end])) is own[-1]]
    assert kept[-1] == best


def test_the_last_epoch_is_selected_whatever_its_auc():
    for end in range(1, 4):
        own = epochs(0.9, 0.5, math.nan)[:end]
        assert selected_epoch(own, "last") is own[-1]
        assert selected_epoch(own, "best") is own[0]


def test_an_auc_that_is_no_number_is_written_as_json_and_read_again(tmp_path):
    line = MetricsLine("fold0", 10, epochs(math.nan)[0].as_metrics())
    assert "NaN" not in line.as_text()
    (tmp_path / METRICS_FILE).write_text(line.as_text())
    (epoch,) = read_epochs(tmp_path, 0)
    assert math.isnan(epoch.auc)
    assert epoch.number == 1
