"""Limits: what is a count, what is a fraction, and what is neither."""

import pytest

from pipelines.contract.limits import allowed_of
from tfrecords_tools.foundation.errors import ConfigError


@pytest.mark.parametrize(
    ("limit", "allowed"),
    [
        ("0", 0),
        ("1", 1),
        ("100", 100),
        ("5000", 5000),
        ("0.0", 0),
        ("0.01", 20),
        ("0.0125", 25),
        (".5", 1000),
        ("1.0", 2000),
        ("1.", 2000),
        ("1%", 20),
        ("0.07%", 1),
        ("100%", 2000),
    ],
)
def test_a_whole_number_is_a_count_and_a_point_or_percent_makes_a_fraction(limit, allowed):
    assert allowed_of(limit, 2000, "x") == allowed


@pytest.mark.parametrize(("limit", "total", "allowed"), [("0.07", 100, 7), ("29%", 100, 29), ("0.99", 100, 99)])
def test_a_fraction_is_the_one_that_is_written_not_the_nearest_binary_one(limit, total, allowed):
    assert allowed_of(limit, total, "x") == allowed


@pytest.mark.parametrize(
    "limit", ["", "-1", "-0.1", "1.5", "101%", "half", "1e-2", "nan", "inf", "%", ".", "1 %", "1,5"]
)
def test_anything_else_is_refused_by_its_name_and_value(limit):
    with pytest.raises(ConfigError, match=rf"max_rejected is {limit}; .*100.*1%"):
        allowed_of(limit, 2000, "max_rejected")
