"""SAMPLERS: what may be drawn from, and how much of it."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from melgan.sampling import Requests, SampledImages
from pipelines import synthesize
from pipelines.artefacts.generator_run import COMMAND
from pipelines.contract.shared_settings import SamplingSettings
from pipelines.contract.workdir import open_workdir
from pipelines.synthesis import samplers
from pipelines.synthesis.opened import OpenedSampler
from pipelines.synthesis.samplers import SAMPLERS, SamplerKind, open_sampler
from pipelines.synthesize import SynthesizeConfig, plan_labels
from tests.pipelines.conftest import records_of
from tests.pipelines.contract.small_run import SmallConfig
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.provenance import SeenShards, ShardsUsed


class Album:
    """A sampler that has a few images of each class, and no others."""

    classes, image_size, conditions = ("a", "b"), 16, frozenset()

    def __init__(self, *capacities: int | None) -> None:
        self._capacities = capacities

    def capacity(self, label: int) -> int | None:
        return self._capacities[label]

    def draw(self, requests: Requests) -> SampledImages:
        shades = (50 + 100 * requests.label + requests.index).astype(np.uint8)
        images = np.broadcast_to(shades[:, None, None, None], (len(shades), 16, 16, 3))
        return SampledImages(images=images, boxes=None, made_from=((),) * len(shades))

    def interpolate(self, label: int, steps: int) -> None:
        del label, steps


def opened(*capacities: int | None) -> OpenedSampler:
    return OpenedSampler(
        sampler=Album(*capacities),
        sha256="f" * 64,
        method="album",
        seed=0,
        seen=SeenShards(trained_on=ShardsUsed(folds_fingerprint="one", shards=("train00-9.tfrec",), indices=(0,))),
        class_counts=(10, 4),
        shards="",
    )


@dataclass(frozen=True)
class NoReport:
    """Of a command that has nothing to say."""


@pytest.fixture
def finished(tmp_path):
    """Makes the finished folder of a command."""

    def finish(command: str) -> str:
        with open_workdir(tmp_path / command, command, SmallConfig(shards="x")) as workdir:
            workdir.begin()
            workdir.complete(NoReport())
        return str(workdir.path)

    return finish


def test_a_run_of_a_command_that_trains_no_generator_is_refused_by_that_command_and_those_that_do(finished):
    path = finished("train_classifier")
    with pytest.raises(CommandError, match=f"--gan={path}: .*train_classifier.*{COMMAND}"):
        open_sampler(path, "gan", SamplingSettings())
    for missing in (f"{path}_gone", str(finished("train_gan")).replace("train_gan", "")):
        with pytest.raises(CommandError, match=f"--gan={missing}: "):
            open_sampler(missing, "gan", SamplingSettings())


def test_a_command_in_the_table_opens_its_own_runs(finished, monkeypatch):
    asked = []

    def open_album(path: str, field: str, settings: SamplingSettings) -> OpenedSampler:
        asked.append((path, field, settings))
        return opened(None, None)

    monkeypatch.setitem(SAMPLERS, "paste_album", SamplerKind(open_album, ("checkpoint",)))
    path, settings = finished("paste_album"), SamplingSettings(seed=3, checkpoint="best")
    assert open_sampler(path, "gan", settings).method == "album"
    assert asked == [(path, "gan", settings)]


@pytest.mark.parametrize(("count", "is_refused"), [(5, False), (6, True)])
def test_more_images_than_a_sampler_has_are_refused(count, is_refused):
    config = SynthesizeConfig(gan="x", output="y", label="b", count=count)
    if not is_refused:
        assert plan_labels(config, opened(None, 5)).tolist() == [1] * count
        return
    with pytest.raises(CommandError, match="6 .*of b .* 5 .*--label.*--count"):
        plan_labels(config, opened(None, 5))


def test_a_balance_that_takes_more_images_than_a_sampler_has_is_refused():
    config = SynthesizeConfig(gan="x", output="y", balance=True)
    assert plan_labels(config, opened(None, 6)).tolist() == [1] * 6
    assert plan_labels(config, opened(0, 6)).tolist() == [1] * 6
    with pytest.raises(CommandError, match="6 .*of b .* 5 "):
        plan_labels(config, opened(None, 5))


def test_classes_are_planned_one_after_the_other():
    config = SynthesizeConfig(gan="x", output="y", balance=True)
    labels = plan_labels(config, replace(opened(None, None), class_counts=(2, 5)))
    assert labels.tolist() == [0, 0, 0]
    with pytest.raises(CommandError, match="--label='c'.*a, b"):
        plan_labels(SynthesizeConfig(gan="x", output="y", label="c", count=3), opened(None, None))


def test_synthetic_shards_of_any_sampler_hold_its_images(finished, tmp_path, monkeypatch):
    kind = SamplerKind(lambda path, field, settings: opened(None, 5), ())
    monkeypatch.setitem(samplers.SAMPLERS, "paste_album", kind)
    settings = {"gan": finished("paste_album"), "output": str(tmp_path / "out"), "label": "b", "count": 5}
    synthesize.run(SynthesizeConfig(**settings))
    rows = records_of(tmp_path / "out", "synthetic")
    assert [(row["index"][0], row["method"][0], row["target"][0]) for row in rows] == [
        (index, b"album", 1) for index in range(5)
    ]
