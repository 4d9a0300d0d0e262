"""Every command opens its folder before it reads an input, and leaves none behind if an input is wrong."""

import importlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from melgan.gans.config import GanConfig
from melgan.gans.methods import resolve
from melgan.translation import translators
from melgan.translation.config import TranslatorConfig
from pipelines.artefacts.classifier_run import TrainClassifierConfig
from pipelines.contract.workdir import open_workdir
from tests.pipelines.contract.configs import COMMANDS, FOLDERS
from tfrecords_tools.foundation.errors import UserError
from tfrecords_tools.foundation.files import write_atomically
from tfrecords_tools.manifest import Manifest, write_manifest

INPUT = "no_such_folder"
# Command -> settings, whose inputs are not there, and a decisive setting with another value.
SETTINGS: dict[str, tuple[dict[str, Any], str, Any]] = {
    "make_shards": ({"source": ("siim_isic",), "input": (INPUT,), "image_size": 32}, "image_size", 64),
    "train_gan": ({"shards": INPUT}, "seed", 7),
    "train_translator": ({"shards": INPUT}, "seed", 7),
    "train_singan": ({"shards": INPUT}, "seed", 7),
    "train_classifier": ({"shards": INPUT, "backbone": "small_cnn"}, "epochs", 7),
    "synthesize": ({"gan": INPUT, "label": "malignant", "count": 3}, "quality", 7),
    "adopt_synthetic": (
        {"images": INPUT, "shards": INPUT, "generator": "stylegan3", "seen": "unknown"},
        "fit",
        "resize",
    ),
    "evaluate_gan": ({"gan": INPUT, "shards": INPUT, "features": "pixels"}, "quality", 7),
    "make_submission": ({"runs": (INPUT,)}, "label", "malignant"),
    "predict": ({"runs": (INPUT,), "input": INPUT}, "prior", "real"),
    "export": ({"shards": INPUT, "licence": "mine"}, "form", "webdataset"),
    "report": ({"runs": (INPUT,)}, "title", "another one"),
    "study": ({"shards": INPUT}, "margin", 0.02),
}
pytestmark = pytest.mark.parametrize("command", SETTINGS)


NO_SHARDS = Manifest(
    source="made up",
    source_fingerprint="",
    folds_fingerprint="",
    classes=("benign", "malignant"),
    image_size=32,
    encoder={},
    shards=(),
)


@dataclass(frozen=True)
class NoReport:
    """Of a run that is made up."""


def config_of(command: str, folder: Path, **others: Any) -> Any:
    """The settings as the command records them: with what follows from the method or the backbone."""
    config = COMMANDS[command](**{**SETTINGS[command][0], FOLDERS[command]: str(folder), **others})
    if isinstance(config, TrainClassifierConfig):
        return replace(config, weights=config.first_weights)
    if isinstance(config, TranslatorConfig):
        return translators.resolve(config)
    return resolve(config) if isinstance(config, GanConfig) else config


def run(command: str, config: Any) -> None:
    importlib.import_module(f"pipelines.{command}").run(config)


def begin(command: str, config: Any, folder: Path, *, complete: bool = False) -> None:
    with open_workdir(folder, command, config) as workdir:
        workdir.begin()
        write_atomically(folder / "work", "")
        if complete:
            write_manifest(folder, NO_SHARDS)  # of the commands that make shards
            workdir.complete(NoReport())


def test_every_command_with_a_folder_is_tested_here(command):
    assert command in FOLDERS
    assert set(SETTINGS) == set(FOLDERS)


def test_a_folder_of_other_settings_is_refused_by_their_name_before_an_input_is_read(command, tmp_path):
    config, (_, name, other) = config_of(command, tmp_path / "out"), SETTINGS[command]
    begin(command, replace(config, **{name: other}), tmp_path / "out")
    before = (tmp_path / "out" / "config.json").read_text()
    with pytest.raises(UserError, match=f"{tmp_path}/out: ") as refused:
        run(command, config)
    assert f"{name} was {other!r}, now {getattr(config, name)!r}" in str(refused.value)
    assert INPUT not in str(refused.value)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["config.json", "work"]
    assert (tmp_path / "out" / "config.json").read_text() == before


def test_a_folder_of_another_command_is_refused_by_its_name_before_an_input_is_read(command, tmp_path):
    config = config_of(command, tmp_path / "out")
    begin("brew_coffee", config, tmp_path / "out")
    with pytest.raises(UserError, match=f"{tmp_path}/out: .*brew_coffee.*{command}") as refused:
        run(command, config)
    assert INPUT not in str(refused.value)


def test_inputs_that_are_not_there_leave_no_folder_behind(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=INPUT):
        run(command, config_of(command, tmp_path / "new" / "out"))
    assert list(tmp_path.iterdir()) == []


def test_inputs_that_are_gone_leave_a_folder_that_was_begun_as_it_was(command, tmp_path):
    config = config_of(command, tmp_path / "out")
    begin(command, config, tmp_path / "out")
    with pytest.raises(UserError, match=INPUT):
        run(command, config)
    settings = json.loads((tmp_path / "out" / "config.json").read_text())
    assert settings["stage"] == command
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["config.json", "work"]


def test_a_command_that_is_complete_reads_no_input(command, tmp_path):
    config = config_of(command, tmp_path / "out")
    begin(command, config, tmp_path / "out", complete=True)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    run(command, config)
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before
