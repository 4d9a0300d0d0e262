"""Translators beside untouched sources and real images: the measures by cases that are known, and one short run."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import translation_comparison
from benchmarks.phantoms import draw_pairs, draw_phantoms
from benchmarks.translation_comparison import Design, Variant, run, variants
from benchmarks.translation_domains import Domains, domains_of_shards
from benchmarks.translation_measures import Judge, measures_beside, measures_of, table
from melgan.metrics.extractors import EXTRACTORS
from melgan.metrics.translation import grey_level_errors
from tests.melgan.without_tracing import without_tracing
from tfrecords_tools.foundation.errors import CommandError, ConfigError

SIZE = 32


@pytest.fixture(scope="module")
def domains() -> Domains:
    trained, others = draw_phantoms(24, SIZE, 0), draw_phantoms(20, SIZE, 2)
    benign, counterfactuals = draw_pairs(10, SIZE, 1)
    rows = [np.flatnonzero(trained.labels == label) for label in (0, 1)]
    targets = others.take(np.flatnonzero(others.labels == 1))
    return Domains(*(trained.take(own) for own in rows), benign, targets, counterfactuals.images)


@pytest.fixture(scope="module")
def judge(domains) -> Judge:
    return Judge(domains, EXTRACTORS["pixels"](""))


def test_untouched_sources_are_the_floor(domains, judge):
    """Nothing changes, so nothing tells them from their sources, and a tenth passes the threshold."""
    beside = measures_beside(domains, judge)
    none = beside["none"]
    assert none["outside"] == [0, 0, 0]
    assert none["taken"][0] == pytest.approx(0.1)
    assert none["rim"][0] <= 0.5
    assert none["truth"][0] == pytest.approx(grey_level_errors(domains.held_out_sources.images, domains.truths).mean())
    assert set(beside["real"]) == {"kid", "taken", "rim"}


def test_the_truth_has_no_error_and_a_frame_is_a_change_that_tells(domains, judge):
    sources = domains.held_out_sources
    found = measures_of(domains.truths, domains, judge, added=domains.targets.images, back=lambda images: images)
    assert found["truth"] == [0, 0, 0]
    assert found["cycle"][0] == pytest.approx(grey_level_errors(domains.truths, sources.images).mean())
    assert found["jpeg"][0] != found["cycle"][0]
    framed = sources.images.copy()
    framed[:, :2] = 255
    with_frame = measures_of(framed, domains, judge, added=domains.targets.images)
    assert with_frame["outside"][0] > 3
    assert with_frame["rim"][0] > 0.9


def test_variants_are_methods_as_published_or_with_a_residual():
    assert variants("cut,auggan+residual") == [Variant("cut", False), Variant("auggan", True)]
    assert variants("auggan+residual")[0].config(Design(), seed=3).residual
    for text in ("cat", "cut+more"):
        with pytest.raises(ConfigError, match="--methods"):
            variants(text)


def test_the_table_has_a_row_a_seed_those_beside_first():
    rows = {"cut": [{"kid": [1.0, 0.5, 1.5], "steps": 20.0}] * 2, "real": [{"kid": [0.0, -1.0, 1.0]}], "none": [{}]}
    lines = [line.split(" | ") for line in table(rows).splitlines()[2:]]
    assert [line[0] for line in lines] == ["| none", "| real", "| cut", "| cut"]
    assert lines[2][1] == "1 (0.5 to 1.5)"


def test_images_of_shards_are_those_of_a_fold_with_masks(launch, tmp_path):
    made = {"source": "phantom", "image_size": SIZE, "num_images": 120, "num_shards": 4, "masks": "true"}
    assert launch("make_shards", output=tmp_path / "shards", **made).returncode == 0
    found = domains_of_shards(str(tmp_path / "shards"), SIZE, num_folds=2, fold=0)
    parts = (found.sources, found.targets, found.held_out_sources, found.held_out_targets)
    assert [set(part.labels) for part in parts] == [{0}, {1}, {0}, {1}]
    assert len({name for part in parts for name in part.names}) == sum(map(len, parts))
    assert all(part.masks.any(axis=(1, 2)).all() for part in parts)
    assert found.truths is None


@pytest.mark.slow
@pytest.mark.parametrize("method", ["cyclegan", "pix2pix"])
def test_what_is_measured_is_not_measured_again(method, domains, judge, tmp_path, monkeypatch):
    monkeypatch.setattr(translation_comparison, "_domains", lambda design: domains)
    monkeypatch.setattr(translation_comparison, "Judge", lambda domains: judge)
    monkeypatch.setattr(translation_comparison, "_TRIAL_STEPS", 1)
    monkeypatch.setattr(translation_comparison, "_STEPS_PER_CALL", 1)
    design = Design(minutes=0.001, image_size=SIZE, width=0.05)
    with without_tracing():
        found = run(tmp_path, design, [Variant(method, False)], [2])
    assert set(found) == {"none", "real", method}
    (measured,) = found[method]
    assert ("jpeg" in measured) == (method == "cyclegan")
    assert measured["seconds_per_step"] > 0
    assert (tmp_path / f"{method}_2.png").is_file()
    path = tmp_path / f"{method}_2.json"
    path.write_text(json.dumps({"row": method, "kid": [7.0, 6.0, 8.0]}))
    assert run(tmp_path, design, [Variant(method, False)], [2])[method] == [{"kid": [7.0, 6.0, 8.0]}]
    with pytest.raises(CommandError, match="width"):
        run(tmp_path, replace(design, width=0.1), [], [])
