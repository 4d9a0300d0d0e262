"""Settings: declared once, with all that commands derive from the declaration."""

from dataclasses import dataclass

import pytest

from tfrecords_tools.foundation.errors import ConfigError
from tfrecords_tools.foundation.settings import (
    Settings,
    baseline_settings,
    current_names,
    declaration,
    differences,
    inherited,
    is_required,
    read_settings,
    require,
    result_settings,
    setting,
)


@dataclass(frozen=True, kw_only=True)
class Common(Settings):
    seed: int = setting(0, "seed")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.seed >= 0, "seed", self.seed, "0 or greater")


@dataclass(frozen=True, kw_only=True)
class Recipe(Settings):
    epochs: int = setting(3, "passes", choices=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.epochs >= 1, "epochs", self.epochs, "at least 1")


@dataclass(frozen=True, kw_only=True)
class Config(Recipe, Common):
    workdir: str = setting(help="folder", changes_result=False)
    init_from: str = setting("", "weights", formerly="resume_from")
    folds: tuple[str, ...] = setting((), "folds", same_baseline=False)


def test_required_are_the_settings_without_a_default():
    required = {name for name, field in Config.__dataclass_fields__.items() if is_required(field)}
    assert required == {"workdir"}
    assert declaration(Config.__dataclass_fields__["init_from"]).formerly == "resume_from"


def test_results_and_baselines_follow_from_the_declarations():
    assert set(result_settings(Config)) == {"seed", "epochs", "init_from", "folds"}
    assert set(baseline_settings(Config)) == {"seed", "epochs", "init_from"}


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"seed": -1}])
def test_every_class_that_a_config_inherits_from_checks_its_own(bad):
    ((name, value),) = bad.items()
    with pytest.raises(ConfigError, match=f"{name} is {value}; "):
        Config(workdir="w", **bad)


def test_inherited_settings_are_a_config_of_their_own():
    assert inherited(Config(workdir="w", epochs=7, seed=1), Recipe) == Recipe(epochs=7)


def test_stored_settings_are_read_by_their_former_names_with_defaults_for_those_that_came_later():
    stored = {"workdir": "w", "resume_from": "other", "folds": ["0", "2"], "gone": 1}
    assert read_settings(Config, stored) == Config(workdir="w", init_from="other", folds=("0", "2"))
    assert current_names(Config, {"resume_from": "other"}) == {
        "seed": 0,
        "epochs": 3,
        "init_from": "other",
        "folds": [],
    }


def test_what_came_later_is_as_it_was_before_it_came():
    @dataclass(frozen=True, kw_only=True)
    class Later(Common):
        match: str = setting("steps", "match", earlier="real")

    assert Later().match == "steps"
    assert read_settings(Later, {"seed": 2}) == Later(seed=2, match="real")
    assert read_settings(Later, {"match": "steps"}) == Later()


def test_differences_name_every_setting_with_both_values():
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 2}) == ""
    assert differences({"a": 1, "b": 2}, {"a": 3, "c": 4}) == "a was 1, now 3; b was 2, now None; c was None, now 4"
