"""Shin's table on phantom lesions: its rows, its intervals, and one short run."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.mask_synthesis import (
    ROWS,
    Design,
    Scores,
    fidelity,
    links,
    mean_interval,
    measure_rows,
    run,
    table,
)
from benchmarks.phantoms import draw_phantoms
from benchmarks.segmenter import Pairs, Segmenter
from melgan.sampling import SampledImages
from tests.melgan.without_tracing import without_tracing
from tfrecords_tools.foundation.errors import CommandError

TINY = Design(
    pairs=4,
    synthetic=6,
    tested=3,
    image_size=32,
    width=0.0625,
    gan_steps=2,
    batch_size=2,
    segmenter_steps=2,
    edits=("mirror", "transplant"),
)


def scores(real, other, asked=0.9):
    overlaps = dict.fromkeys(ROWS, (other, other + 0.1))
    overlaps["real"] = (real, real)
    return Scores(overlaps=overlaps, asked=asked, edited=0.8, other=0.5, rank=0.4, near=0.2, copies=0.3)


def test_the_interval_of_a_mean_is_students():
    found = mean_interval(np.array([1.0, 2.0, 3.0]))
    assert found.value == 2
    assert found.high - 2 == pytest.approx(4.302653 / np.sqrt(3), rel=1e-5)  # t of 2 degrees of freedom, deviation 1
    assert np.isnan(mean_interval(np.array([1.0])).low)


def test_differences_are_paired_by_seed():
    """Real pairs give 0.5 and 0.7, the other rows 0.1 more each time, and 0.2 more with augmentation."""
    header, _, real, *others = table([scores(0.5, 0.6), scores(0.7, 0.8)]).splitlines()
    assert header.startswith("| trained on | Dice |")
    assert real == "| real | 0.600 |  | 0.600 |  |"
    assert [row.split(" | ")[0] for row in others] == [f"| {name}" for name in ROWS[1:]]
    assert others[0].endswith("| 0.700 | 0.100 (0.100 to 0.100) | 0.800 | 0.200 (0.200 to 0.200) |")


def test_what_drawn_images_are_like_is_told_as_means_over_seeds():
    rows = fidelity([scores(0.5, 0.6, asked=0.9), scores(0.5, 0.6, asked=0.7)]).splitlines()[2:]
    assert rows[0].startswith("| Dice of asked and found mask | 0.800 (")
    assert [row.split("|")[2].split()[0] for row in rows[3:]] == ["0.400", "0.200", "0.300"]


def test_copies_are_linked_to_their_donors_and_unseen_images_are_not():
    real, unseen, others = (draw_phantoms(40, 32, seed) for seed in range(3))
    names = tuple((str(name),) for name in real.names)
    copied = SampledImages(images=real.images[:, :, ::-1], boxes=None, made_from=names)
    assert links(copied, real, unseen) == (1.0, 1.0, 0.0)
    near, copies, rank = links(replace(copied, images=others.images), real, unseen)
    assert near <= copies <= 0.2
    assert rank == pytest.approx(0.5, abs=0.15)


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter(32, width=0.0625)


def test_rows_are_trainings_on_real_and_synthetic_pairs(segmenter):
    """Synthetic pairs whose masks are wrong teach nothing; a few real ones then do."""
    real, tested = (Pairs(drawn.images, drawn.masks) for drawn in (draw_phantoms(20, 32, 0), draw_phantoms(20, 32, 1)))
    wrong = Pairs(real.images, 255 - real.masks)
    found = measure_rows(segmenter, real, wrong, tested, steps=40, seed=0)
    assert tuple(found) == ROWS
    for augmented in (0, 1):
        overlaps = {name: values[augmented] for name, values in found.items()}
        assert overlaps["real"] > 0.7
        assert overlaps["synthetic"] < 0.2
        assert overlaps["synthetic"] < overlaps["synthetic, then 10 % real"]
        assert overlaps["real + synthetic"] < overlaps["real"]


@pytest.mark.slow
def test_seeds_are_measured_once(tmp_path):
    with without_tracing():
        (first,) = run(tmp_path, TINY, [3])
    assert set(first.overlaps) == set(ROWS)
    assert all(0 <= value <= 1 for pair in first.overlaps.values() for value in pair)
    assert 0 <= first.rank <= 1
    path = tmp_path / "seed_3.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"asked": 0.125}))
    (again,) = run(tmp_path, TINY, [3])
    assert again == replace(first, asked=0.125)
    with pytest.raises(CommandError, match="gan_steps"):
        run(tmp_path, replace(TINY, gan_steps=4), [3])
