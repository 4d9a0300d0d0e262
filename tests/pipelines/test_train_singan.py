"""train_singan: a job an image, shards that are aligned with the real ones, resuming, bad input."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from melgan.metrics.patches import patch_distances
from melgan.sampling import Requests
from pipelines import synthesize, train_singan
from pipelines.artefacts.seen import without_leaks
from pipelines.artefacts.shards import open_shards, open_synthetic, split_fold
from pipelines.artefacts.singan_run import TrainSinganConfig, open_singan_run, read_real_images
from pipelines.artefacts.synthetic_run import SynthesizeConfig
from pipelines.contract.shared_settings import SamplingSettings
from pipelines.pages.translator_section import singan_section
from pipelines.synthesis.samplers import open_sampler
from pipelines.synthesis.singan_sampler import sampler_of
from pipelines.training.single_images import SingleImageJob, finished
from tests.pipelines.conftest import kill_and_resume, made, records_of
from tfrecords_tools.foundation.errors import CommandError, ConfigError, UserError
from tfrecords_tools.manifest import count_classes, read_manifest
from tfrecords_tools.verifying import require_one_generator

pytestmark = pytest.mark.slow

TINY = {
    "image_size": 32,
    "min_size": 24,
    "width": 0.1,
    "steps_per_scale": 4,
    "disc_steps": 1,
    "gen_steps": 1,
    "most": 3,
    "checkpoint_every": 2,
    "steps_per_call": 2,
    "deterministic": True,
}


@pytest.fixture(scope="session")
def singan(line, masked_shards, launch) -> Path:
    return made(line.singan, "train_singan", launch, shards=masked_shards, **TINY)


def config_of(shards: Path, workdir: Path, **settings) -> TrainSinganConfig:
    return TrainSinganConfig(shards=str(shards), workdir=str(workdir), **{**TINY, **settings})


def drawn(gan: Path, output: Path, **settings) -> Path:
    synthesize.run(SynthesizeConfig(gan=str(gan), output=str(output), **{"label": "malignant", "count": 9, **settings}))
    return output


def test_the_images_of_the_rarest_class_are_trained_on_each_by_itself(singan, masked_shards):
    run = open_singan_run(str(singan), "gan")
    real = {row["image_name"][0].decode(): row for row in records_of(masked_shards, "train")}
    assert len(run.report.images) == 3
    assert {real[image.name]["target"][0] for image in run.report.images} == {1}
    assert len({image.sha256 for image in run.report.images}) == 3
    assert run.report.channels == 4  # with masks
    assert read_real_images(run).images.shape == (3, 32, 32, 3)
    assert {shard for image in run.report.images for shard in [image.shard]} == set(run.report.trained_on.indices)


def test_samples_are_measured_by_their_images_and_stand_on_a_page(singan):
    run = open_singan_run(str(singan), "gan")
    *of_scales, others = run.report.samples
    assert [each.start_scale for each in of_scales] == [0, 1, 2]
    assert (others.start_scale, others.diversity, others.distance) == (None, None, None)
    real = read_real_images(run)
    rows = np.repeat(np.arange(3), 6)
    requests = Requests(index=np.tile(np.arange(6), 3), label=real.labels[rows], source=real.names[rows])
    for each in of_scales:
        images = sampler_of(run, seed=0, start_scale=each.start_scale).draw(requests).images
        errors = (images.astype(float) - real.images[rows]) / 127.5
        expected = np.sqrt((errors**2).mean(axis=(1, 2, 3))).mean()
        assert each.distance == pytest.approx(expected, rel=1e-2)
    patches = [patch_distances(real.images[[place - 1]], real.images[place], stride=3) for place in range(3)]
    assert others.coherence == pytest.approx(np.mean([each.coherence for each in patches]))
    assert others.completeness == pytest.approx(np.mean([each.completeness for each in patches]))
    table = singan_section(singan, run.report).items[1]
    assert [row[0] for row in table.rows] == ["scale 0", "scale 1", "scale 2", "other images"]
    assert table.rows[0][2] == f"{of_scales[0].distance:.3f}"


def test_every_shard_is_made_from_the_real_shard_of_its_index(singan, masked_shards, tmp_path):
    folder = drawn(singan, tmp_path / "out")
    shard_of = {image.name: image.shard for image in open_singan_run(str(singan), "gan").report.images}
    manifest = read_manifest(folder)
    assert sum(shard.records for shard in manifest.shards) == 9
    for shard in manifest.shards:
        assert shard.made_from == (shard.index,)
    for row in records_of(folder, "synthetic"):
        (name,) = (name.decode() for name in row["made_from"])
        assert row["made_from_shards"] == [shard_of[name]]
    names = [row["made_from"][0] for row in records_of(folder, "synthetic")]
    assert [names.count(name) for name in sorted(set(names))] == [3, 3, 3]


def test_one_run_serves_all_folds(singan, masked_shards, tmp_path):
    opened = open_shards(str(masked_shards), "shards")
    synthetic = open_synthetic(str(drawn(singan, tmp_path / "out")), "synthetic")
    taken = []
    for fold in range(2):
        _, held_out = split_fold(opened.manifest, 2, fold)
        indices = {shard.index for shard in held_out}
        clean = [shard.index for shard in synthetic.manifest.shards if shard.index not in indices]
        if clean:
            found = without_leaks(synthetic, opened, held_out)
            assert [shard.index for shard in found.manifest.shards] == clean
            taken += clean
    assert sorted(taken) == [shard.index for shard in synthetic.manifest.shards]


def test_records_that_were_made_from_other_shards_than_the_manifest_says_are_refused(singan, tmp_path):
    """A manifest that says another real shard would let a classifier be validated on the image it was made from."""
    folder = drawn(singan, tmp_path / "out")
    manifest = read_manifest(folder)
    forged = [shard.__class__(**{**shard.__dict__, "made_from": (99,)}) for shard in manifest.shards]
    require_one_generator(folder, manifest.shards, manifest.provenance.generator)
    with pytest.raises(UserError, match=manifest.shards[0].file):
        require_one_generator(folder, forged, manifest.provenance.generator)


def test_start_scales_lead_to_the_image_itself(singan, tmp_path):
    distances = []
    for scale in (0, 1):
        folder = drawn(singan, tmp_path / str(scale), start_scale=scale, count=3)
        distances.append(read_manifest(folder).provenance.near_source)
    assert distances[0] <= distances[1]
    assert read_manifest(tmp_path / "1").provenance.drawn_with == {"start_scale": "1"}
    with pytest.raises(UserError, match="start_scale is 9"):
        drawn(singan, tmp_path / "out", start_scale=9)


def test_a_lesion_of_any_class_is_pasted_into_the_skin_of_an_image_of_its_shard(singan, masked_shards, tmp_path):
    folder = drawn(singan, tmp_path / "out", label="benign", paste_scale=1)
    real = {row["image_name"][0].decode(): row for row in records_of(masked_shards, "train")}
    skins = {image.name: image.shard for image in open_singan_run(str(singan), "gan").report.images}
    rows = records_of(folder, "synthetic")
    assert len(rows) == 9
    for row in rows:
        skin, lesion = (name.decode() for name in row["made_from"])
        assert row["made_from_shards"] == [skins[skin]] * 2
        assert (real[lesion]["target"][0], row["mask"][0]) == (row["target"][0], real[lesion]["mask"][0])
    manifest = read_manifest(folder)
    assert all(shard.made_from == (shard.index,) for shard in manifest.shards)
    assert manifest.provenance.drawn_with == {"paste_scale": "1"}
    with pytest.raises(ConfigError, match="start_scale"):
        drawn(singan, tmp_path / "both", paste_scale=1, start_scale=1)


def test_a_fold_is_left_out_and_one_that_leaves_nothing_is_refused(singan, masked_shards, tmp_path):
    shards = {image.name: image.shard for image in open_singan_run(str(singan), "gan").report.images}
    real = open_shards(str(masked_shards), "shards").manifest
    for fold in range(4):
        kept = {entry.index for entry in split_fold(real, 4, fold)[0]} & set(shards.values())
        folder = drawn(singan, tmp_path / str(fold), num_folds=4, fold=fold) if kept else None
        if folder is not None:
            manifest = read_manifest(folder)
            opened = open_sampler(str(singan), "gan", SamplingSettings(num_folds=4, fold=fold))
            assert opened.class_counts == count_classes(split_fold(real, 4, fold)[0], 2)
            assert {shard.index for shard in manifest.shards} == set(manifest.provenance.trained_on.indices) == kept
    with pytest.raises(CommandError, match="fold"):
        drawn(singan, tmp_path / "out", fold=1)


def test_what_an_earlier_run_left_counts_only_with_its_weights(singan, tmp_path):
    """One description without weights, one with others, one of another image: all are trained again."""
    shutil.copytree(singan, tmp_path / "out")
    folder = tmp_path / "out" / "generators"
    found = [
        SingleImageJob(
            number=n,
            image=None,
            image_name=image.name,
            label=1,
            shard=0,
            classes=(),
            folder=str(tmp_path / "out"),
            config=None,
            checkpoint_every=1,
            steps_per_call=1,
            deterministic=False,
        )
        for n, image in enumerate(open_singan_run(str(singan), "gan").report.images)
    ]
    assert [finished(job).name for job in found] == [job.image_name for job in found]
    (folder / "00000.npz").unlink()
    (folder / "00001.npz").write_bytes(b"others")
    assert [finished(job) for job in found[:2]] == [None, None]
    assert finished(replace(found[2], image_name="another")) is None


def test_whatever_killed_it_a_finished_run_is_that_which_nothing_disturbed(singan, masked_shards, tmp_path):
    killed = kill_and_resume("train_singan", tmp_path / "out", "checkpoints/00001", shards=masked_shards, **TINY)
    reports = [json.loads((folder / "report.json").read_text()) for folder in (singan, killed)]
    assert reports[0]["images"] == reports[1]["images"]
    assert reports[0]["generator_sha256"] == reports[1]["generator_sha256"]
    assert (singan / "samples.png").read_bytes() == (killed / "samples.png").read_bytes()


def test_a_damaged_generator_is_refused_by_name(singan, tmp_path):
    run = open_singan_run(str(singan), "gan")
    (tmp_path / "generators").mkdir()
    (tmp_path / run.report.images[0].file).write_bytes(b"nothing")
    moved = run.__class__(tmp_path, run.config, run.report)
    with pytest.raises(CommandError, match=run.report.images[0].file):
        read_real_images(moved)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"images": ("PHANTOM_9",)}, "PHANTOM_9"),
        ({"label": "nevus"}, "--label='nevus'.*benign, malignant"),
        ({"image_size": 64}, "32 px.*64 px"),
    ],
)
def test_images_that_are_not_there_are_refused_by_name(masked_shards, tmp_path, settings, named):
    with pytest.raises(UserError, match=named):
        train_singan.run(config_of(masked_shards, tmp_path / "out", **settings))
    assert not (tmp_path / "out").exists()


def test_an_image_larger_than_the_limit_of_the_pyramid_is_refused():
    with pytest.raises(UserError, match="image_size is 512"):
        TrainSinganConfig(shards="a", workdir="b", image_size=512)


def test_colours_of_samples_are_those_of_the_images(singan, tmp_path):
    """Of four steps a scale, the reconstruction is coarse, but neither black nor white."""
    rows = records_of(drawn(singan, tmp_path / "out", start_scale=1, count=3), "synthetic")
    assert np.mean([len(row["image"][0]) for row in rows]) > 500
