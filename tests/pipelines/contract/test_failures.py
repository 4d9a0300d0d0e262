"""Failures of the machine end a command with one line; faults of the program keep their traceback."""

import subprocess
import sys

import pytest
import tensorflow as tf

from pipelines.contract.failures import as_one_line
from tests.conftest import ROOT
from tfrecords_tools.records import frame

CODE = """
import sys
from absl import flags
import pipelines.contract.quiet_tensorflow
import tensorflow as tf
from pipelines.contract.main import main
from tests.pipelines.contract.small_config import SmallConfig

def run(config):
    {body}

main(SmallConfig, run)
"""


def run(body: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", CODE.format(body=body), "--shards=x"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_shard_that_is_damaged_while_it_is_read_is_one_line(tmp_path):
    path = tmp_path / "train00-1.tfrec"
    path.write_bytes(frame(b"x" * 1000)[:-500])
    result = run(f"list(tf.data.TFRecordDataset({str(path)!r}))")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    error = result.stderr.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert "inspect" in error


def test_memory_that_is_used_up_is_one_line():
    result = run("import numpy as np; np.ones(1 << 45)")
    assert result.returncode == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert "memory" in line
    assert "Traceback" not in result.stderr


def test_a_fault_of_the_program_keeps_its_traceback():
    result = run("{}['no such key']")
    assert result.returncode != 0
    assert "Traceback" in result.stderr
    assert "no such key" in result.stderr


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor [64,512]"), "OOM when allocating"),
        (
            tf.errors.DataLossError(None, None, "Graph execution error:\n\nDetected at node x\n  (0) corrupted record"),
            "corrupted record",
        ),
    ],
)
def test_the_telling_line_is_shown(error, told):
    assert told in as_one_line(error)


def test_what_a_user_can_do_nothing_about_is_not_explained():
    assert as_one_line(KeyError("x")) == ""
    assert as_one_line(tf.errors.InvalidArgumentError(None, None, "shapes")) == ""
