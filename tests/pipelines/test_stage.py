"""The stage contract: flags from fields, the order of what is written, and what is refused."""

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest
from absl import flags

from melgan.config import setting
from melgan.errors import ConfigError
from pipelines import stage
from tests.conftest import ROOT

STAGES = ["make_shards", "train_gan", "synthesize", "train_classifier", "make_submission", "report", "demo"]


@dataclass(frozen=True, kw_only=True)
class Config:
    shards: str = setting(help="a folder")
    steps: int = setting(10, "a number")
    rate: float | None = setting(None, "a rate")
    names: tuple[str, ...] = setting(("a",), "names")
    workers: int = setting(1, "how many", changes_result=False)


def _config(*arguments: str) -> Config:
    values = flags.FlagValues()
    stage.define_flags(Config, values)
    values(["program", *arguments])
    return stage.config_from_flags(Config, values)


def test_flags_are_the_fields_with_their_defaults_and_types():
    assert _config("--shards=x") == Config(shards="x", steps=10, rate=None, names=("a",), workers=1)
    given = _config("--shards=x", "--steps=3", "--rate=0.5", "--names=b,c")
    assert given == Config(shards="x", steps=3, rate=0.5, names=("b", "c"))


def test_a_required_flag_that_is_missing_is_named_with_its_help():
    with pytest.raises(stage.StageError, match="--shards is required: a folder"):
        _config()


def test_completed_comes_last_and_vouches_for_the_report(tmp_path):
    workdir = stage.open_workdir(tmp_path / "run", "test", Config(shards="x"))
    assert json.loads((tmp_path / "run" / "config.json").read_text())["steps"] == 10
    with pytest.raises(stage.StageError, match="not complete"):
        stage.require_completed(str(tmp_path / "run"), "shards")
    workdir.complete({"figure": 1})
    settings, report = stage.read_run(stage.require_completed(str(tmp_path / "run"), "shards"))
    assert settings["stage"] == report["stage"] == "test"
    assert report["figure"] == 1
    assert report["versions"]["tensorflow"]


def test_the_same_settings_go_on_and_others_are_refused_by_name(tmp_path):
    assert stage.open_workdir(tmp_path, "test", Config(shards="x")) is not None
    assert stage.open_workdir(tmp_path, "test", Config(shards="x", workers=8)) is not None
    assert json.loads((tmp_path / "config.json").read_text())["workers"] == 8
    with pytest.raises(stage.StageError, match="steps was 10, now 11"):
        stage.open_workdir(tmp_path, "test", Config(shards="x", steps=11))
    with pytest.raises(stage.StageError, match="stage was 'test', now 'other'"):
        stage.open_workdir(tmp_path, "other", Config(shards="x"))


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(stage.StageError, match="not empty"):
        stage.open_workdir(tmp_path, "test", Config(shards="x"))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_complete_folder_needs_no_work(tmp_path):
    stage.open_workdir(tmp_path, "test", Config(shards="x")).complete({})
    assert stage.open_workdir(tmp_path, "test", Config(shards="x")) is None


def test_config_errors_name_field_value_and_remedy():
    from pipelines.make_shards import MakeShardsConfig

    with pytest.raises(ConfigError, match="quality is 101; it must be from 1 to 100"):
        MakeShardsConfig(source="phantom", output="x", quality=101)


@pytest.mark.parametrize("name", STAGES)
def test_help_shows_every_flag_with_its_default(name: str):
    shown = subprocess.run(
        [sys.executable, "-m", f"pipelines.{name}", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0
    module = __import__(f"pipelines.{name}", fromlist=["x"])
    config_class = next(value for key, value in vars(module).items() if key.lower() == f"{name}config".replace("_", ""))
    for field in stage.fields(config_class):
        assert f"  --{field.name}=" in shown.stdout
        assert field.metadata["help"] in shown.stdout


def test_an_unknown_flag_ends_with_one_line_and_code_2():
    command = [sys.executable, "-m", "pipelines.make_shards", "--sauce=phantom"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "sauce" in result.stderr
    assert "Traceback" not in result.stderr
