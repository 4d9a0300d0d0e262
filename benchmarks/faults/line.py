"""A small run of the whole line, whose folders trials damage or make again."""

import shutil
from pathlib import Path

from benchmarks.faults.trial import not_made, run

_SMALL = {"image_size": 32, "num_folds": 2, "deterministic": True}
# Folder of the line -> its command and settings; LINE stands for the folder of all of them.
COMMANDS: dict[str, tuple[str, dict]] = {
    "shards": (
        "make_shards",
        {"source": "phantom", "input": "LINE/images", "image_size": 32, "num_images": 200, "num_shards": 4}
        | {"masks": "true"},
    ),
    "gan": (
        "train_gan",
        _SMALL
        | {"shards": "LINE/shards", "fold": 0, "width": 0.1, "global_batch_size": 8, "disc_steps": 1}
        | {"autoencoder_epochs": 1, "total_steps": 60, "checkpoint_every": 10, "log_every": 5},
    ),
    "translator": (
        "train_translator",
        _SMALL
        | {"shards": "LINE/shards", "fold": 0, "method": "pix2pix", "width": 0.1, "global_batch_size": 8}
        | {"total_steps": 60, "checkpoint_every": 10, "log_every": 5},
    ),
    "singan": (
        "train_singan",
        {"shards": "LINE/shards", "image_size": 32, "min_size": 24, "width": 0.1, "most": 2, "deterministic": True}
        | {"steps_per_scale": 40, "checkpoint_every": 10},
    ),
    "synthetic": ("synthesize", {"gan": "LINE/gan", "label": "malignant", "count": 600, "shard_size": 50}),
    "classifier": (
        "train_classifier",
        _SMALL | {"shards": "LINE/shards", "backbone": "small_cnn", "epochs": 3, "test_time_views": 1},
    ),
    "mixed": (
        "train_classifier",
        _SMALL
        | {"shards": "LINE/shards", "backbone": "small_cnn", "epochs": 1, "test_time_views": 1, "folds": 0}
        | {"synthetic": "LINE/synthetic", "synthetic_fraction": 0.2},
    ),
    "submission": ("make_submission", {"runs": "LINE/classifier"}),
}
_OUTPUTS = dict.fromkeys(("train_gan", "train_translator", "train_singan", "train_classifier"), "workdir")


def command_of(name: str, line: Path, folder: Path) -> tuple[str, dict]:
    """Returns the command that makes a folder of the line, and its settings.

    Arguments:
      name: of the folder.
      line: has the folders that it reads.
      folder: that it writes.
    """
    command, settings = COMMANDS[name]
    own = {key: str(value).replace("LINE", str(line)) for key, value in settings.items()}
    return command, own | {_OUTPUTS.get(command, "output"): folder}


def make_line(line: Path) -> None:
    """Makes the folders that trials read."""
    for name in COMMANDS:
        if failure := not_made(run(*command_of(name, line, line / name))):
            raise RuntimeError(f"{name} cannot be made at all: {failure}")


def copy_of(line: Path, folder: Path, names: tuple[str, ...]) -> None:
    """Copies folders of the line."""
    for name in names:
        shutil.copytree(line / name, folder / name)
