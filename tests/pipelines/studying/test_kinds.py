"""Generators of images that are made from real ones as methods of a study."""

import pytest

from melgan.single_image.pyramid import pyramid_sizes
from pipelines.artefacts.shards import open_shards, split_fold
from pipelines.artefacts.singan_run import seconds_per_step_of_images
from pipelines.artefacts.study import StudyConfig
from pipelines.contract.workdir import read_facts
from pipelines.studying import jobs, pilot
from pipelines.studying.design import open_design
from tests.pipelines.conftest import picture, succeed
from tests.pipelines.study_runs import SETTINGS, jobs_of, run_study
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.manifest import read_manifest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fewer_metrics")]

MADE_FROM_IMAGES = {
    "methods": ("pix2pix", "singan"),
    "ratios": ("0.5",),
    "translator_settings": ("width=0.02", "global_batch_size=2", "total_steps=2", "checkpoint_every=2", "log_every=2"),
    "singan_settings": ("width=0.1", "min_size=32", "steps_per_scale=4", "disc_steps=1", "gen_steps=1", "most=12"),
}
COMMANDS = ("train_translator", "train_singan", "synthesize", "evaluate_gan")


@pytest.fixture
def ran(monkeypatch, launch) -> list[str]:
    """The names of the commands that a study ran; they are forked, as those of other tests are."""
    names = []

    def run(command, settings, **_):
        names.append(command)
        succeed(launch(command, **{name: value for name, value in settings.items() if value is not None}))

    monkeypatch.setattr(jobs, "run_command", run)
    return names


def test_one_singan_serves_all_folds_and_what_is_drawn_is_made_from_no_image_that_is_held_out(
    study_shards, tmp_path, ran
):
    report = run_study(study_shards, tmp_path / "study", **MADE_FROM_IMAGES)
    assert {name: ran.count(name) for name in COMMANDS} == {
        "train_translator": 2,
        "train_singan": 1,
        "synthesize": 4,
        "evaluate_gan": 4,
    }
    assert {(each.method, each.fold) for each in report.generators} == {
        (method, fold) for method in ("pix2pix", "singan") for fold in (0, 1)
    }
    real = open_shards(str(study_shards), "shards").manifest
    for method in ("pix2pix", "singan"):
        for fold in (0, 1):
            (folder,) = (jobs_of(tmp_path / "study") / method / "seed0" / f"fold{fold}").glob("synthetic*")
            made_from = {index for shard in read_manifest(folder).shards for index in shard.made_from}
            assert made_from <= {entry.index for entry in split_fold(real, 2, fold)[0]}
            edits = (read_manifest(folder).provenance.drawn_with or {}).get("edits", "")
            assert ("transplant" in edits) == (method == "pix2pix")


def test_the_time_of_a_singan_is_shared_by_the_folds(study_shards, tmp_path, ran):
    asked = ("width=0.1", "min_size=32", "steps_per_scale=10000", "disc_steps=1", "gen_steps=1")
    settings = {**SETTINGS, **MADE_FROM_IMAGES, "methods": ("singan",), "singan_settings": asked}
    config = StudyConfig(shards=str(study_shards), workdir=str(tmp_path / "study"), **settings)
    design = open_design(config)
    seconds = pilot._seconds_of_method(design, "singan")
    (folder,) = (tmp_path / "study_jobs" / "pilot").iterdir()
    training, *others = (read_facts(folder / name).seconds for name in ("gan", "synthetic", "evaluation"))
    images = design.shards.manifest.class_counts()[design.label]
    left = len(pyramid_sizes(design.shards.manifest.image_size, 32, 0.75)) * (images * 10000 - 2 * 20)
    assert seconds == pytest.approx((training + left * seconds_per_step_of_images(folder / "gan")) / 2 + sum(others))


def test_images_of_another_generator_are_a_method(study_shards, tmp_path, ran):
    images = tmp_path / "stylegan"
    for fold in range(2):
        for number in range(40):
            path = images / f"fold{fold}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(100 * fold + number, 40).save(path)
    settings = (f"images={images}/fold{{fold}}", "generator=stylegan3", "seen=training")
    own = {"methods": ("adopted",), "ratios": ("0.5",), "adopted_settings": settings}
    report = run_study(study_shards, tmp_path / "study", **own)
    assert {name: ran.count(name) for name in ("adopt_synthetic", "synthesize", "evaluate_gan")} == {
        "adopt_synthetic": 2,
        "synthesize": 2,
        "evaluate_gan": 2,
    }
    real = open_shards(str(study_shards), "shards").manifest
    for fold in range(2):
        (folder,) = (jobs_of(tmp_path / "study") / "adopted" / "seed0" / f"fold{fold}").glob("synthetic*")
        provenance = read_manifest(folder).provenance
        assert provenance.trained_on.indices == tuple(entry.index for entry in split_fold(real, 2, fold)[0])
        assert provenance.rejected_copies == 0
    assert {each.method for each in report.generators} == {"adopted"}
    with pytest.raises(CommandError, match="40"):
        run_study(study_shards, tmp_path / "more", **{**own, "ratios": ("9",)})
