"""export: the bytes of images in every form, what is told of them, and what is refused."""

import csv
import io
import json
import tarfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines import export, make_shards
from pipelines.artefacts.evaluation import EvaluationReport, value_of
from pipelines.artefacts.shards import Shards
from pipelines.contract.workdir import read_report
from pipelines.export import ExportConfig
from pipelines.make_shards import MakeShardsConfig
from tests.pipelines.conftest import made, records_of
from tfrecords_tools.example import Example
from tfrecords_tools.exports import images as export_images
from tfrecords_tools.foundation.errors import CommandError, ConfigError, DataError
from tfrecords_tools.manifest import Manifest, read_manifest
from tfrecords_tools.shards import write_examples

pytestmark = pytest.mark.slow

LICENCE = "cc-by-nc-4.0"


@pytest.fixture(scope="session")
def synthetic(line, gan, launch) -> Path:
    settings = {"gan": gan, "label": "malignant", "count": 5, "shard_size": 3}
    return made(line.root / "exported_synthetic", "synthesize", launch, **settings)


def exported(shards: Path, output: Path, **settings: object) -> Path:
    export.run(ExportConfig(shards=str(shards), output=str(output), **{"licence": LICENCE, **settings}))
    return output


def images_of(folder: Path, *splits: str) -> dict[str, bytes]:
    return {row["image_name"][0].decode(): row["image"][0] for split in splits for row in records_of(folder, split)}


def rows_of(path: Path) -> list[dict]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_a_folder_per_class_is_taken_back_with_the_same_bytes(masked_shards, tmp_path):
    folder = exported(masked_shards, tmp_path / "out")
    images, rows = images_of(masked_shards, "train"), rows_of(folder / "metadata.csv")
    assert {row["image_name"]: (folder / row["file"]).read_bytes() for row in rows} == images
    counts = dict(zip(("benign", "malignant"), read_manifest(masked_shards).class_counts(), strict=True))
    assert Counter(row["class"] for row in rows) == counts == Counter(row["file"].split("/")[0] for row in rows)
    assert {row["split"] for row in rows} == {"train"}
    assert {row["sex"] for row in rows} <= {"male", "female", ""}
    size = read_manifest(masked_shards).image_size
    back = MakeShardsConfig(
        source=("image_folder",),
        input=(str(folder),),
        output=str(tmp_path / "back"),
        image_size=size,
        num_shards=2,
        workers=1,
    )
    make_shards.run(back)
    assert sorted(images_of(tmp_path / "back", "train").values()) == sorted(images.values())
    groups = [
        Counter(row["patient_id"][0] for row in records_of(each, "train"))
        for each in (tmp_path / "back", masked_shards)
    ]
    assert sorted(groups[0].values()) == sorted(groups[1].values())


def test_synthetic_images_are_not_taken_back_as_real_ones(synthetic, tmp_path):
    folder = exported(synthetic, tmp_path / "out")
    config = MakeShardsConfig(
        source=("image_folder",), input=(str(folder),), output=str(tmp_path / "back"), num_shards=2
    )
    with pytest.raises(DataError, match="synthetic"):
        make_shards.run(config)


def test_names_of_images_that_begin_alike_stay_apart_and_classes_that_would_be_one_folder_are_refused(tmp_path):
    names = [f"{'a' * 80}{number}" for number in range(3)]
    examples = [Example(image=b"", image_name=name, target=0) for name in names]
    entry = write_examples(tmp_path, "train", 0, examples, 2)
    manifest = Manifest(
        source="",
        source_fingerprint="",
        folds_fingerprint="",
        image_size=8,
        encoder={},
        classes=("a/b", "c"),
        shards=(entry,),
    )
    found = list(export_images.images_of(tmp_path, manifest, [entry]))
    assert len({image.name for image in found}) == 3
    assert all(len(image.name) < 100 for image in found)
    assert {image.folder for image in found} == {"a_b"}
    with pytest.raises(DataError, match="a_b"):
        list(export_images.images_of(tmp_path, replace(manifest, classes=("a/b", "a_b")), [entry]))


def test_tar_files_are_shards_whose_members_share_the_name_of_their_image(masked_shards, tmp_path):
    folders = [exported(masked_shards, tmp_path / name, form="webdataset", with_test=True) for name in ("a", "b")]
    manifest = read_manifest(masked_shards)
    assert {path.stem for path in folders[0].glob("*.tar")} == {Path(entry.file).stem for entry in manifest.shards}
    for entry in manifest.shards:
        path = folders[0] / f"{Path(entry.file).stem}.tar"
        assert path.read_bytes() == (folders[1] / path.name).read_bytes()
        with tarfile.open(path) as tar:
            files = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}
        keys = dict.fromkeys(name.split(".", 1)[0] for name in files)
        assert len(keys) == entry.records
        for key in keys:
            told = json.loads(files[f"{key}.json"])
            assert images_of(masked_shards, entry.split)[told["image_name"]] == files[f"{key}.jpg"]
            if entry.split == "train":
                assert ("benign", "malignant")[int(files[f"{key}.cls"])] == told["class"]
                assert files[f"{key}.mask.png"].startswith(b"\x89PNG")
            else:
                assert f"{key}.cls" not in files


def test_splits_of_hugging_face_have_a_table_with_the_names_of_their_files(masked_shards, synthetic, tmp_path):
    folder = exported(masked_shards, tmp_path / "real", form="hugging_face", with_test=True)
    for split in ("train", "test"):
        rows = rows_of(folder / split / "metadata.csv")
        found = {row["image_name"]: (folder / split / row["file_name"]).read_bytes() for row in rows}
        assert found == images_of(masked_shards, split)
    folder = exported(synthetic, tmp_path / "synthetic", form="hugging_face")
    rows = rows_of(folder / "train" / "metadata.csv")
    assert {(row["class"], row["method"], row["seed"]) for row in rows} == {("malignant", "bagan_gp", "0")}
    assert sorted(int(row["index"]) for row in rows) == list(range(5))


def test_the_card_tells_the_licence_the_counts_and_what_made_the_images(masked_shards, synthetic, tmp_path):
    card = (exported(masked_shards, tmp_path / "real", title="My lesions") / "README.md").read_text()
    counts = read_manifest(masked_shards).class_counts()
    assert card.startswith(f'---\nlicense: "{LICENCE}"\npretty_name: "My lesions"\n')
    assert f"| train | malignant | {counts[1]} |" in card
    assert "phantom" in card
    card = (exported(synthetic, tmp_path / "drawn") / "README.md").read_text()
    made_by = read_manifest(synthetic).provenance
    assert made_by.generator in card
    assert "not looked for" in card
    assert "not measured" in card
    assert all(shard in card for shard in made_by.trained_on.shards)


def test_memorisation_stands_on_the_card_of_images_of_the_evaluated_generator(
    gan, shards, synthetic, masked_shards, tmp_path, launch
):
    settings = {"gan": gan, "shards": shards, "features": "pixels", "metrics": "memorisation_pixels"}
    evaluation = made(tmp_path / "evaluation", "evaluate_gan", launch, **settings)
    card = (exported(synthetic, tmp_path / "out", evaluation=str(evaluation)) / "README.md").read_text()
    value = value_of(read_report(evaluation, EvaluationReport).synthetic, "copies_pixels", "malignant")
    assert f"- malignant: {value:.3f} (" in card
    with pytest.raises(CommandError, match="evaluation"):
        exported(masked_shards, tmp_path / "real", evaluation=str(evaluation))
    manifest = read_manifest(synthetic)
    scaled = replace(manifest, provenance=replace(manifest.provenance, drawn_with={"start_scale": "2"}))
    with pytest.raises(CommandError, match="start_scale"):
        export._evaluation_of(Shards(synthetic, scaled), str(evaluation))


def test_a_filled_folder_and_a_set_without_a_licence_are_refused(masked_shards, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    with pytest.raises(CommandError, match="not empty"):
        exported(masked_shards, tmp_path / "mine")
    with pytest.raises(ConfigError, match="licence"):
        exported(masked_shards, tmp_path / "out", licence=" ")
    with pytest.raises(ConfigError, match="with_test"):
        exported(masked_shards, tmp_path / "out", with_test=True)
    assert not (tmp_path / "out").exists()
