"""Planning: time and memory from a made-up table to the rows of every shard on disk, each in a process of its own."""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measuring import Measurement, peak_megabytes, print_measurements
from tfrecords_tools.foundation.metadata import CATEGORIES
from tfrecords_tools.planning import plan_shards, write_plan
from tfrecords_tools.sources.merging import merge_sources
from tfrecords_tools.sources.table import SourceTable

_ROWS_PER_PATIENT = 16
_SITE = "anatom_site_general_challenge"
_MELANOMA_FRACTION = 0.0176


def measure(*, kaggle_rows: int = 33_126, many_rows: int = 1_000_000) -> list[Measurement]:
    """Returns time and memory for a table of the size of Kaggle's, and for a far larger one."""
    few, many = _plan_apart(kaggle_rows), _plan_apart(many_rows)
    return [
        Measurement(
            what=f"planning {kaggle_rows:,} rows", ours="", rival="", value=few["seconds"], unit="s", at_most=10
        ),
        Measurement(what=f"planning {many_rows:,} rows", ours="", rival="", value=many["seconds"], unit="s"),
        Measurement(
            what=f"planning {many_rows:,} rows",
            ours="peak memory",
            rival="",
            value=many["megabytes"],
            unit="MB",
            at_most=1000,
        ),
    ]


def _plan_apart(rows: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.planning", str(rows)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def _plan(rows: int) -> dict[str, float]:
    table = merge_sources(
        ["made_up"], [SourceTable(root=Path("/"), classes=("benign", "malignant"), train=_rows(rows))]
    )
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        train = table.train.assign(crc32c=None)
        plan = plan_shards(replace(table, train=train), np.arange(rows), num_shards=15, seed=0)
        write_plan(Path(folder), plan, table.roots)
    return {"seconds": time.perf_counter() - start, "megabytes": peak_megabytes()}


def _rows(count: int) -> pd.DataFrame:
    """Returns a made-up table with the columns of a source and the proportions of Kaggle's train.csv."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "image_name": [f"ISIC_{number:07d}" for number in range(count)],
            "file": [f"jpeg/train/ISIC_{number:07d}.jpg" for number in range(count)],
            "size": rng.integers(100_000, 5_000_000, count),
            "version": rng.integers(0, 2**60, count),
            "lesion_id": None,
            "patient_id": [f"IP_{number:07d}" for number in rng.integers(0, max(count // _ROWS_PER_PATIENT, 1), count)],
            "sex": rng.choice(list(CATEGORIES["sex"].codes), count),
            "age_approx": 5.0 * rng.integers(3, 19, count),
            _SITE: rng.choice(list(CATEGORIES[_SITE].codes), count),
            "diagnosis": rng.choice(["unknown", "nevus"], count),
            "target": (rng.random(count) < _MELANOMA_FRACTION).astype(int),
        }
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.stdout.write(json.dumps(_plan(int(sys.argv[1]))))
    else:
        print_measurements(measure())
