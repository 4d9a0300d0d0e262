"""Progress and durations in words."""

import logging

import pytest

from pipelines.contract.progress import Progress, format_seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59.4, "59s"),
        (60, "1m00s"),
        (200, "3m20s"),
        (3600, "1h00m"),
        (7530, "2h05m"),
        (float("inf"), "unknown time"),
    ],
)
def test_durations(seconds: float, text: str):
    assert format_seconds(seconds) == text


def test_the_end_is_always_told(caplog):
    with caplog.at_level(logging.INFO, logger="absl"):
        progress = Progress("shards", 10, "images")
        progress.update(5)
        progress.update(10, "done well")
    assert [line.split(",")[0] for line in caplog.messages] == ["shards: 10/10 images"]
    assert caplog.messages[0].endswith("done well")


def test_a_name_in_the_line_of_progress_commands_no_terminal(caplog):
    with caplog.at_level(logging.INFO, logger="absl"):
        Progress("shards of %s\x1b[31m", 1, "images").update(1, "\nforged")
    assert caplog.messages[0].startswith(r"shards of %s\x1b[31m: 1/1 ")
    assert caplog.messages[0].endswith(r"\nforged")
