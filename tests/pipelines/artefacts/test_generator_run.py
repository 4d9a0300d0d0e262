"""Runs of train_gan as inputs: whose they are, and whether the weights are those of the report."""

import shutil
from pathlib import Path

import pytest

from pipelines.artefacts.generator_run import TrainGanConfig, load_generator, open_gan_run
from tfrecords_tools.foundation.errors import CommandError, DataError
from tfrecords_tools.foundation.files import file_sha256

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("checkpoint", "name"), [("last", "generator.weights.h5"), ("best", "best_generator.weights.h5")]
)
def test_weights_that_are_not_those_of_the_report_are_refused_by_their_file(
    gan: Path, tmp_path: Path, checkpoint, name
):
    loaded = load_generator(str(gan), "gan", checkpoint)
    assert loaded.sha256 == file_sha256(gan / name)
    copy = shutil.copytree(gan, tmp_path / "gan")
    with open(copy / name, "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    with pytest.raises(DataError, match=f"^{copy / name}: "):
        load_generator(str(copy), "gan", checkpoint)


def test_a_folder_of_another_command_is_refused_by_that_command(shards: Path):
    with pytest.raises(CommandError, match=f"--gan={shards}: .*make_shards.*train_gan"):
        open_gan_run(str(shards), "gan")


def test_a_fold_without_folds_is_refused():
    """All shards would be trained on in silence."""
    with pytest.raises(CommandError, match="--fold=2 .*--num_folds"):
        TrainGanConfig(shards="s", workdir="w", fold=2)
    assert TrainGanConfig(shards="s", workdir="w", fold=2, num_folds=3).fold == 2
