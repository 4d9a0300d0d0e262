"""The settings of every command: declared as settings, flags without clashes, and which of them decide a result."""

import json
import logging
import re
from dataclasses import MISSING, fields

import pytest
from absl import flags

from pipelines.artefacts.classifier_run import TrainClassifierConfig
from pipelines.artefacts.generator_run import TrainGanConfig
from pipelines.contract.flags import config_from_flags, define_flags, describe_settings
from pipelines.contract.workdir import open_workdir, read_config, read_raw_settings
from tests.pipelines.contract.configs import COMMANDS, CONFIGS, FOLDERS
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.settings import (
    Setting,
    baseline_settings,
    declaration,
    is_required,
    result_settings,
)

# Where and how fast something is computed, wherever a command has such a setting.
FREE = {
    "cache_dir",
    "scratch_dir",
    "feature_dir",
    "steps_per_call",
    "workers",
    "engine",
    "scheduler",
    "scheduler_security",
    "heartbeat_seconds",
    "checkpoint_every",
    "log_every",
}


def flags_of(config_class: type, *arguments: str) -> flags.FlagValues:
    values = flags.FlagValues()
    define_flags(config_class, values)
    values(["program", *arguments])
    return values


def required_flags(config_class: type) -> list[str]:
    required = [field for field in fields(config_class) if is_required(field)]
    return [f"--{field.name}={(declaration(field).choices or ['phantom'])[0]}" for field in required]


def test_every_command_and_every_config_is_found():
    assert set(COMMANDS) >= {*FOLDERS, "inspect_shards", "local_workers", "demo"}
    assert set(COMMANDS.values()) <= set(CONFIGS.values())
    assert TrainGanConfig in CONFIGS.values()


@pytest.mark.parametrize("name", CONFIGS)
def test_every_field_is_a_setting_with_a_line_of_help(name: str):
    for field in fields(CONFIGS[name]):
        declared = declaration(field)
        assert isinstance(declared, Setting), field.name
        assert declared.help.strip(), field.name
        assert "\n" not in declared.help, field.name
        assert declared.choices is None or is_required(field) or field.default in (None, *declared.choices), field.name


@pytest.mark.parametrize("command", COMMANDS)
def test_flags_are_defined_without_clashes_beside_those_of_absl(command: str):
    """absl refuses a name that is taken: by a field, by the old name of one, or by its own flags."""
    values = flags.FlagValues()
    for known in flags.FLAGS.flags_by_module_dict().values():
        for flag in known:
            values[flag.name] = flag
    define_flags(COMMANDS[command], values)
    shown = describe_settings(COMMANDS[command])
    for field in fields(COMMANDS[command]):
        assert field.name in values
        assert f"--{field.name}=" in shown


@pytest.mark.parametrize("command", FOLDERS)
def test_help_has_every_setting_once_the_required_ones_first_and_then_its_own(command: str):
    shown = describe_settings(COMMANDS[command])
    names = re.findall(r"^  --(\w+)=", shown, re.MULTILINE)
    config_fields = fields(COMMANDS[command])
    assert sorted(names) == sorted(field.name for field in config_fields)
    required = [field.name for field in config_fields if is_required(field)]
    assert names[: len(required)] == required
    own = [name for name in COMMANDS[command].__dict__["__annotations__"] if name not in required]
    assert names[len(required) : len(required) + len(own)] == own


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"synthesize", "evaluate_gan", "make_submission"}))
def test_the_required_settings_are_all_that_a_command_needs(command: str):
    config = config_from_flags(COMMANDS[command], flags_of(COMMANDS[command], *required_flags(COMMANDS[command])))
    for field in fields(COMMANDS[command]):
        if field.default is not MISSING:
            assert getattr(config, field.name) == field.default


@pytest.mark.parametrize("command", FOLDERS)
def test_where_a_command_writes_and_how_fast_decides_no_result(command: str):
    config_class = COMMANDS[command]
    names = {field.name for field in fields(config_class)}
    assert FOLDERS[command] in names
    free = names & {FOLDERS[command], *FREE}
    assert not free & set(result_settings(config_class))
    assert not free & set(baseline_settings(config_class))


def test_every_setting_that_changes_no_result_is_known():
    """What a new one means for resuming and for comparisons is to be thought about."""
    free = {
        command: {field.name for field in fields(COMMANDS[command])} - set(result_settings(COMMANDS[command]))
        for command in FOLDERS
    }
    assert free == {
        "make_shards": {"output", "max_rejected", "engine", "workers", "scheduler", "scheduler_security"},
        "train_translator": {
            "workdir",
            "on_nonfinite",
            "scratch_dir",
            "cache_dir",
            "steps_per_call",
            "checkpoint_every",
            "log_every",
            "heartbeat_seconds",
            "tracker",
        },
        "train_singan": {
            "workdir",
            "cache_dir",
            "steps_per_call",
            "checkpoint_every",
            "engine",
            "workers",
            "scheduler",
            "scheduler_security",
        },
        "train_gan": {
            "workdir",
            "scratch_dir",
            "cache_dir",
            "steps_per_call",
            "total_steps",
            "heartbeat_seconds",
            "checkpoint_every",
            "log_every",
            "on_nonfinite",
            "eval_interval",
            "tracker",
        },
        "train_classifier": {
            "workdir",
            "scratch_dir",
            "cache_dir",
            "steps_per_call",
            "heartbeat_seconds",
            "tracker",
        },
        "synthesize": {"output", "cache_dir"},
        "adopt_synthetic": {"output", "cache_dir", "max_rejected"},
        "evaluate_gan": {"output", "cache_dir", "feature_dir"},
        "make_submission": {"output", "cache_dir"},
        "predict": {"output", "cache_dir", "max_rejected", "workers"},
        "export": {"output", "cache_dir"},
        "report": {"output"},
        "study": {
            *("workdir", "jobs_dir", "cache_dir", "jobs", "gpus", "worker_resources", "plan"),
            *("engine", "scheduler", "scheduler_security"),
        },
    }


def test_classifiers_of_the_same_baseline_agree_in_all_but_these_settings():
    names = {field.name for field in fields(TrainClassifierConfig)}
    assert names - set(baseline_settings(TrainClassifierConfig)) == {
        "workdir",
        "scratch_dir",
        "tracker",
        "cache_dir",
        "steps_per_call",
        "heartbeat_seconds",
        "deterministic",
        "shards",  # compared by digest
        "folds",
        "synthetic",
        "synthetic_fraction",
        "synthetic_targets",
        "blend",
        "metadata_for_synthetic",
        "trust_unknown_generators",
        "match",
        "target",
    }


def test_settings_that_decide_a_result_but_no_baseline_are_these():
    decisive = set(result_settings(TrainClassifierConfig)) - set(baseline_settings(TrainClassifierConfig))
    assert decisive == {
        *("deterministic", "shards", "folds", "match", "target"),
        *("synthetic", "synthetic_fraction", "synthetic_targets", "blend", "metadata_for_synthetic"),
        "trust_unknown_generators",
    }


FORMER = [
    (name, declaration(field).formerly, field.name)
    for name, config_class in COMMANDS.items()
    for field in fields(config_class)
    if declaration(field).formerly
]


def test_the_renamed_settings_are_these():
    assert FORMER == [("train_gan", "resume_from", "init_from")]


@pytest.mark.parametrize(("command", "old", "new"), FORMER)
def test_the_old_name_of_a_setting_is_accepted_with_a_warning_and_refused_beside_the_new_one(command, old, new, caplog):
    config_class = COMMANDS[command]
    caplog.set_level(logging.WARNING, logger="absl")
    required = required_flags(config_class)
    given = config_from_flags(config_class, flags_of(config_class, *required, f"--{new}=runs/gan"))
    assert caplog.messages == []
    assert config_from_flags(config_class, flags_of(config_class, *required, f"--{old}=runs/gan")) == given
    (warning,) = caplog.messages
    assert f"--{old}" in warning
    assert f"--{new}" in warning
    with pytest.raises(CommandError, match=f"--{old}.*--{new}"):
        config_from_flags(config_class, flags_of(config_class, *required, f"--{old}=runs/gan", f"--{new}=runs/gan"))
    assert f"--{old}=" not in describe_settings(config_class)


def test_a_config_of_an_older_version_is_read_and_resumed(tmp_path):
    """Its --resume_from is --init_from today; settings that came later have their defaults; one is gone."""
    config = TrainGanConfig(shards="/shards", workdir=str(tmp_path), init_from="/runs/gan", seed=3, width=0.5)
    with open_workdir(tmp_path, "train_gan", config) as workdir:
        workdir.begin()
    stored = json.loads((tmp_path / "config.json").read_text())
    newer = ("on_nonfinite", "eval_by", "regulariser", "regulariser_weight", "batch_sampling")
    older = {name: value for name, value in stored.items() if name not in (*newer, "init_from")}
    (tmp_path / "config.json").write_text(json.dumps(older | {"resume_from": "/runs/gan"}))
    assert read_config(tmp_path, TrainGanConfig) == config
    assert read_raw_settings(tmp_path)["resume_from"] == "/runs/gan"
    with open_workdir(tmp_path, "train_gan", config) as workdir:
        workdir.begin()
    assert json.loads((tmp_path / "config.json").read_text()) == stored


def test_a_config_of_a_command_that_shares_settings_is_read_as_that_of_the_command(tmp_path):
    config = TrainClassifierConfig(shards="/shards", workdir=str(tmp_path), folds=("0", "1"), seed=4)
    with open_workdir(tmp_path, "train_classifier", config) as workdir:
        workdir.begin()
    assert read_config(tmp_path, TrainClassifierConfig) == config
    assert read_config(tmp_path, TrainClassifierConfig).folds == ("0", "1")
