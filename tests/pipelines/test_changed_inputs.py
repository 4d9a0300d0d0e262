"""Another input at the same path is another run: what was begun with the first is not finished with the second."""

import json
import shutil
from pathlib import Path

import pytest

from tests.pipelines.conftest import CLASSIFIER, GAN, PHANTOM, only_error, succeed
from tfrecords_tools.example import Example, Provenance, parse, serialize
from tfrecords_tools.foundation.files import file_sha256
from tfrecords_tools.manifest import count_classes, describe_shard, read_manifest, write_manifest
from tfrecords_tools.records import frame, read_records

pytestmark = pytest.mark.slow

SHORT = {**GAN, "width": 0.02, "disc_steps": 1, "total_steps": 2, "autoencoder_epochs": 0, "checkpoint_every": 1}


def unfinish(folder: Path, *names: str) -> None:
    """Makes a run look as if it had been killed before it wrote some of its files."""
    for name in ("COMPLETED", "report.json", *names):
        (folder / name).unlink()


@pytest.fixture
def own_shards(shards: Path, tmp_path: Path) -> Path:
    """A copy of the shards, to be replaced."""
    return shutil.copytree(shards, tmp_path / "shards")


def make_other_folds(folder: Path, launch) -> None:
    """Replaces shards by those of the same images in other folds."""
    shutil.rmtree(folder)
    succeed(launch("make_shards", output=folder, **PHANTOM, input=f"{folder}_images", seed=5))


def test_a_gan_begun_on_other_shards_is_not_trained_further(own_shards: Path, launch, tmp_path: Path):
    settings = {**SHORT, "shards": own_shards, "workdir": tmp_path / "gan"}
    succeed(launch("train_gan", **settings))
    make_other_folds(own_shards, launch)
    assert f"{tmp_path}/gan: " in (error := only_error(launch("train_gan", **settings)))
    assert f"--shards {own_shards}" in error
    unfinish(tmp_path / "gan", "generator.weights.h5")
    settings["total_steps"] = 4
    assert f"--shards {own_shards}" in only_error(launch("train_gan", **settings))
    assert not (tmp_path / "gan" / "generator.weights.h5").exists()


def test_folds_of_a_classifier_are_all_of_the_same_shards(own_shards: Path, launch, tmp_path: Path):
    settings = {**CLASSIFIER, "epochs": 1, "shards": own_shards, "workdir": tmp_path / "run"}
    succeed(launch("train_classifier", **settings))
    unfinish(tmp_path / "run", "fold1/predictions.csv", "oof.csv")
    make_other_folds(own_shards, launch)
    assert f"--shards {own_shards}" in only_error(launch("train_classifier", **settings))
    assert not (tmp_path / "run" / "fold1" / "predictions.csv").exists()


def test_synthetic_shards_are_all_of_one_generator(shards: Path, launch, tmp_path: Path):
    gan, output = tmp_path / "gan", tmp_path / "synthetic"
    succeed(launch("train_gan", **SHORT, shards=shards, workdir=gan))
    settings = {"gan": gan, "output": output, "label": "malignant", "count": 6, "shard_size": 2}
    succeed(launch("synthesize", **settings))
    unfinish(output, "manifest.json", "grid.png")
    shutil.rmtree(gan)
    succeed(launch("train_gan", **SHORT, shards=shards, workdir=gan, seed=5))
    assert f"--gan {gan}" in only_error(launch("synthesize", **settings))
    assert not (output / "manifest.json").exists()


def forge_records(folder: Path, generator: str) -> None:
    """Writes the last shard of a synthetic set again, as if another generator had made it; the manifest vouches."""
    manifest = read_manifest(folder)
    *others, last = manifest.shards
    records = []
    for record in read_records(folder / last.file):
        values = parse(record)
        provenance = Provenance(generator=generator, method="bagan_gp", seed=0, index=values["index"][0])
        (image,), (name,), (target,) = values["image"], values["image_name"], values["target"]
        records.append(serialize(Example(image=image, image_name=name.decode(), target=target, provenance=provenance)))
    (folder / last.file).write_bytes(b"".join(map(frame, records)))
    forged = describe_shard(folder / last.file, count_classes([last], len(manifest.classes)))
    write_manifest(folder, type(manifest)(**{**vars(manifest), "shards": (*others, forged)}))
    report = json.loads((folder / "report.json").read_text())
    report["files"]["manifest.json"] = file_sha256(folder / "manifest.json")
    (folder / "report.json").write_text(json.dumps(report))
    (folder / "COMPLETED").write_text(file_sha256(folder / "report.json") + "\n")


def test_a_record_of_another_generator_than_the_manifest_names_is_refused(
    shards: Path, synthetic: Path, launch, tmp_path: Path
):
    copy = shutil.copytree(synthetic, tmp_path / "synthetic")
    forge_records(copy, "0" * 64)
    last = read_manifest(copy).shards[-1].file
    settings = {**CLASSIFIER, "folds": 0, "synthetic": copy, "synthetic_fraction": 0.2}
    error = only_error(launch("train_classifier", shards=shards, workdir=tmp_path / "run", **settings))
    assert f"{copy / last}: record 0" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("run", "file"), [("classifier", "fold0/best.weights.h5"), ("classifier", "oof.csv"), ("shards", "manifest.json")]
)
def test_a_changed_file_of_an_input_is_refused_by_its_name(run, file, request, launch, tmp_path: Path):
    copy = shutil.copytree(request.getfixturevalue(run), tmp_path / run)
    data = bytearray((copy / file).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / file).write_bytes(data)
    assert f"{copy / file}: " in only_error(launch("report", runs=copy, output=tmp_path / "report"))
    assert not (tmp_path / "report").exists()


def test_a_complete_folder_without_its_shards_is_not_complete(own_shards: Path, launch, tmp_path: Path):
    succeed(launch("make_shards", output=own_shards, **PHANTOM))
    (lost, *_) = own_shards.glob("train*.tfrec")
    lost.unlink()
    error = only_error(launch("make_shards", output=own_shards, **PHANTOM))
    assert str(lost) in error
