"""Failures of the machine end a command with one line; faults of the program keep their traceback."""

import errno
import os
import subprocess
import sys

import pytest
import tensorflow as tf

from pipelines.contract.failures import as_one_line
from tests.conftest import ROOT
from tests.pipelines.conftest import only_error
from tfrecords_tools.records import frame

CODE = """
import sys
from absl import flags
import pipelines.contract.quiet_tensorflow
import tensorflow as tf
from pipelines.contract.main import main
from tests.pipelines.contract.small_run import SmallConfig

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


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EROFS, "another folder"),
        (errno.EACCES, "permissions"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENOSPC, "make room"),
        (errno.EIO, "disk"),
    ],
)
def test_an_error_of_the_system_tells_what_and_where_and_what_to_do(number, remedy):
    line = as_one_line(OSError(number, os.strerror(number), "/runs/a"))
    assert line.startswith(f"/runs/a: {os.strerror(number)}; ")
    assert remedy in line
    assert remedy in as_one_line(OSError(number, os.strerror(number)))


def test_a_file_that_could_not_be_begun_is_told_by_its_folder():
    path = "/runs/a/.unfinished-0123456789abcdef-config.json"
    assert as_one_line(OSError(errno.EROFS, os.strerror(errno.EROFS), path)).startswith("/runs/a: ")


def test_an_error_of_a_library_that_is_no_error_of_the_system_is_shown_as_it_is():
    assert as_one_line(OSError("the weights are no HDF5 file")) == "the weights are no HDF5 file"


@pytest.mark.parametrize(("number", "remedy"), [(errno.ENOSPC, "make room"), (errno.EMFILE, "ulimit -n")])
def test_tensorflow_s_lack_of_handles_or_disk_is_no_lack_of_memory(number, remedy):
    line = as_one_line(tf.errors.ResourceExhaustedError(None, None, f"/runs/a/ckpt; {os.strerror(number)}"))
    assert line.startswith("/runs/a/ckpt; ")
    assert remedy in line
    assert "memory" not in line


def test_a_folder_that_cannot_be_made_is_one_line(launch):
    for command, settings in (("make_shards", {"source": "phantom"}), ("report", {"runs": "x"})):
        error = only_error(launch(command, output="/dev/null/x", **settings))
        assert error.startswith("error: /dev/null/x: ")
        assert error.count(";") == 1


def test_what_a_user_can_do_nothing_about_is_not_explained():
    assert as_one_line(KeyError("x")) == ""
    assert as_one_line(tf.errors.InvalidArgumentError(None, None, "shapes")) == ""
