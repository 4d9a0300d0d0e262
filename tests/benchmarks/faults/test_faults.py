"""The script of faults: what it takes for a refusal, what it counts, and one trial of every kind that is quick."""

from dataclasses import replace

import pytest

from benchmarks.faults.__main__ import run_trials, table
from benchmarks.faults.bad_inputs import bad_inputs
from benchmarks.faults.damages import DAMAGES
from benchmarks.faults.trial import Ended, Trial, not_made, not_refused, run

REFUSED = "12:00:00 reading\nerror: /data/in: no images; give another folder\n"


def test_a_refusal_is_code_1_and_one_line_that_names_the_place():
    assert not_refused(Ended(1, REFUSED)) == not_refused(Ended(1, REFUSED), "/data/in") == ""
    assert "'/other'" in not_refused(Ended(1, REFUSED), "/other")
    assert "exit code 0" in not_refused(Ended(0, REFUSED))
    assert "exit code -11" in not_refused(Ended(-11, ""))
    assert not_refused(Ended(1, "Traceback (most recent call last):\n" + REFUSED))
    assert not_refused(Ended(1, "12:00:00 reading\n"))


def test_what_is_made_ends_with_code_0():
    assert not_made(Ended(0, "")) == ""
    assert "error: " in not_made(Ended(1, REFUSED))


def test_trials_that_do_not_hold_are_counted_and_said(tmp_path, capsys):
    trials = [Trial("kill", "one", lambda folder: ""), Trial("kill", "two", lambda folder: f"bytes of {folder.name}")]
    trials.append(replace(trials[0], kind="input"))
    failures = run_trials(trials, tmp_path, processes=2)
    assert failures == {trials[1]: "bytes of trial1"}
    assert capsys.readouterr().out.splitlines()[1].split() == ["FAILED", "kill:", "two", "bytes", "of", "trial1"]
    assert table(trials, failures).splitlines()[2:] == ["| kill | 2 | 1 |", "| input | 1 | 1 |", "| all | 3 | 2 |"]


@pytest.mark.parametrize("name", ["an image of 900 million pixels", "a table in UTF-16"])
def test_a_bad_input_is_tried_with_the_real_command(tmp_path, name):
    (trial,) = [trial for trial in bad_inputs() if trial.name == name]
    assert trial.run(tmp_path) == ""


def test_a_command_that_takes_too_long_is_killed(tmp_path):
    assert run("make_shards", {"source": "phantom", "output": tmp_path / "out"}, timeout=0.1).code == -9


@pytest.mark.parametrize("damage", DAMAGES)
def test_damages_change_a_file(tmp_path, damage):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    DAMAGES[damage](path)
    assert not path.exists() if damage == "gone" else path.read_bytes() != b"0123456789"
