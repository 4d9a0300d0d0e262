"""Flags from the fields of a config."""

import logging

import pytest
from absl import flags

from pipelines.contract.flags import config_from_flags, define_flags
from tests.pipelines.contract.small_run import SmallConfig
from tfrecords_tools.foundation.errors import CommandError


def config_of(*arguments: str) -> SmallConfig:
    values = flags.FlagValues()
    define_flags(SmallConfig, values)
    values(["program", *arguments])
    return config_from_flags(SmallConfig, values)


def test_flags_are_the_fields_with_their_defaults_and_types():
    expected = SmallConfig(shards="x", steps=10, rate=None, names=("a",), workers=1, init_from="")
    assert config_of("--shards=x") == expected
    given = config_of("--shards=x", "--steps=3", "--rate=0.5", "--names=b,c")
    assert given == SmallConfig(shards="x", steps=3, rate=0.5, names=("b", "c"))


def test_a_flag_of_several_values_takes_them_at_once_or_one_by_one():
    for given in (["--names=b,c"], ["--names=b", "--names=c"], ["--names", "b", "--names", "c"]):
        assert config_of("--shards=x", *given).names == ("b", "c")
    assert config_of("--shards=x", "--names=b,c", "--names=d").names == ("b", "c", "d")
    assert config_of("--shards=x", "--names=").names == ()
    assert config_of("--shards=x").names == ("a",)


def test_a_required_flag_that_is_missing_is_named_with_its_help():
    with pytest.raises(CommandError, match="--shards.*a folder"):
        config_of()


def test_the_old_name_of_a_flag_sets_the_new_one_with_a_warning_that_names_both(caplog):
    caplog.set_level(logging.WARNING, logger="absl")
    assert config_of("--shards=x", "--init_from=runs/gan").init_from == "runs/gan"
    assert caplog.messages == []
    assert config_of("--shards=x", "--resume_from=runs/gan").init_from == "runs/gan"
    (warning,) = caplog.messages
    assert "--resume_from" in warning
    assert "--init_from" in warning


@pytest.mark.parametrize("new", ["runs/gan", "runs/other", ""])
def test_the_old_name_of_a_flag_beside_the_new_one_is_refused(new):
    with pytest.raises(CommandError, match="--resume_from.*--init_from"):
        config_of("--shards=x", "--resume_from=runs/gan", f"--init_from={new}")
