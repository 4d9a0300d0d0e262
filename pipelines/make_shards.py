"""Images and CSV -> TFRecord shards in the public Kaggle melanoma format, in folds that do not leak.

    python -m pipelines.make_shards --source=siim_isic --input=DOWNLOAD --output=SHARDS --image_size=256

Writes train00-<records>.tfrec ... and test00-<records>.tfrec ..., manifest.json, rejected.csv and, where the source
has one, sample_submission.csv.
"""

import csv
import hashlib
import io
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from absl import logging

from melgan.config import require, setting
from pipelines import stage
from pipelines.progress import Progress
from tfrecords_tools import example
from tfrecords_tools.engines import ENGINES
from tfrecords_tools.errors import DataError
from tfrecords_tools.folds import assign_shards, group_rows
from tfrecords_tools.images import FITS, Encoding
from tfrecords_tools.manifest import MANIFEST_FILE, Manifest, file_sha256, write_atomically, write_manifest
from tfrecords_tools.shards import Row, ShardJob, ShardResult, read_part, remove_leftovers, remove_parts, write_shard
from tfrecords_tools.sources import SOURCES, SourceOptions, SourceTable

SAMPLE_SUBMISSION_FILE, REJECTED_FILE = "sample_submission.csv", "rejected.csv"


@dataclass(frozen=True, kw_only=True)
class MakeShardsConfig:
    """Settings of make_shards."""

    source: str = setting(help="data set", choices=tuple(SOURCES))
    output: str = setting(help="folder of the shards")
    input: str = setting("", "folder of the data set; phantom draws its images there (default: OUTPUT_images)")
    image_size: int = setting(256, "side of the stored images in pixels")
    fit: str = setting("crop", "how images that are not square become square", choices=tuple(FITS))
    quality: int = setting(95, "JPEG quality, 1 to 100")
    num_shards: int = setting(15, "shards of each split; a fold is a set of whole shards")
    seed: int = setting(0, "seed of the folds, of the order of records, and of phantom's images")
    num_images: int = setting(800, "images that phantom draws, train and test together")
    max_rejected: int = setting(100, "stop when more images than this cannot be read", changes_result=False)
    engine: str = setting("local", "where shards are written", choices=tuple(ENGINES), changes_result=False)
    workers: int = setting(0, "processes of the local engine; 0: one a core", changes_result=False)

    def __post_init__(self) -> None:
        require(8 <= self.image_size <= 4096, "image_size", self.image_size, "from 8 to 4096")
        require(1 <= self.quality <= 100, "quality", self.quality, "from 1 to 100")
        require(1 <= self.num_shards <= 9999, "num_shards", self.num_shards, "from 1 to 9999")
        require(self.num_images >= 100, "num_images", self.num_images, "at least 100")
        require(self.max_rejected >= 0, "max_rejected", self.max_rejected, "0 or greater")
        require(self.workers >= 0, "workers", self.workers, "0 or greater")
        require(self.seed >= 0, "seed", self.seed, "0 or greater")


def run(config: MakeShardsConfig) -> None:
    """Converts a data set."""
    if not config.input and config.source != "phantom":
        raise stage.StageError(f"--input is required for --source={config.source}: the folder of the data set")
    output = Path(config.output)
    source_folder = Path(config.input or f"{config.output.rstrip('/')}_images")
    workdir = stage.open_workdir(output, "make_shards", config)
    if workdir is None:
        return
    logging.info("reading %s from %s", config.source, source_folder)
    table = SOURCES[config.source](source_folder, SourceOptions(num_images=config.num_images, seed=config.seed))
    jobs = plan_jobs(table, config)
    results = _write_all(jobs, config)
    manifest = _manifest(table, config, results)
    _finish(output, manifest, results, table)
    _log_summary(manifest, output)
    workdir.complete(_report(manifest, output))


def plan_jobs(table: SourceTable, config: MakeShardsConfig) -> list[ShardJob]:
    """Returns the shard jobs of both splits; a function of table and settings alone."""
    patients = _patient_codes(table)
    groups = group_rows(table.train)
    train_shards = assign_shards(groups, table.train["target"].to_numpy(), config.num_shards, config.seed)
    jobs = _split_jobs("train", table.train, train_shards, patients, table, config)
    if table.test is not None:
        test_shards = np.arange(len(table.test)) * config.num_shards // max(len(table.test), 1)
        jobs += _split_jobs("test", table.test, test_shards, patients, table, config)
    return jobs


def _split_jobs(
    split: str, rows: pd.DataFrame, shards: np.ndarray, patients: dict, table: SourceTable, config: MakeShardsConfig
) -> list[ShardJob]:
    jobs = []
    for index in np.unique(shards):
        own = rows[shards == index]
        if split == "train":  # mixed within a shard; test shards keep the order of the table
            own = own.iloc[np.random.default_rng([config.seed, index]).permutation(len(own))]
        job = ShardJob(
            folder=Path(config.output),
            split=split,
            index=int(index),
            num_classes=len(table.classes),
            rows=tuple(Row(row["file"], _example_fields(row, patients)) for row in own.to_dict("records")),
            root=table.root,
            encoding=Encoding(image_size=config.image_size, fit=config.fit, quality=config.quality),
        )
        jobs.append(job)
    return jobs


def _patient_codes(table: SourceTable) -> dict[str, int]:
    """Returns the public shards' codes: order of first appearance in train, then test."""
    tables = [part["patient_id"] for part in (table.train, table.test) if part is not None]
    return {patient: code for code, patient in enumerate(pd.concat(tables).dropna().unique())}


def _example_fields(row: dict, patients: dict[str, int]) -> dict:
    known = {name: None if pd.isna(value) else value for name, value in row.items() if name != "file"}
    age = known["age_approx"]
    return {
        "image_name": known["image_name"],
        "patient_id": patients.get(known["patient_id"], example.MISSING),
        "sex": example.encode_category(known["sex"], example.SEX_CODES),
        "age_approx": example.MISSING if age is None else round(age),
        "anatom_site_general_challenge": example.encode_category(
            known["anatom_site_general_challenge"], example.SITE_CODES, example.SITE_ALIASES
        ),
        "diagnosis": example.encode_category(known["diagnosis"], example.DIAGNOSIS_CODES, example.DIAGNOSIS_ALIASES),
        "target": example.MISSING if "target" not in known else int(known["target"]),
    }


def _write_all(jobs: list[ShardJob], config: MakeShardsConfig) -> list[ShardResult]:
    """Runs the jobs that an earlier run has not finished; stops when too many images cannot be read."""
    output = Path(config.output)
    results = [done for job in jobs if (done := read_part(output, job.split, job.index))]
    remove_leftovers(output, keep=[result.entry.file for result in results])
    finished = {(result.entry.split, result.entry.index) for result in results}
    waiting = [job for job in jobs if (job.split, job.index) not in finished]
    if results:
        logging.info("%d of %d shards were finished by an earlier run", len(results), len(jobs))
    done = sum(result.entry.records for result in results)
    progress = Progress("shards", sum(len(job.rows) for job in jobs), "images", start=done)
    for result in ENGINES[config.engine](waiting, write_shard, config.workers or os.cpu_count() or 1):
        results.append(result)
        progress.update(sum(result.entry.records + len(result.rejected) for result in results))
        _require_few_rejected(results, config.max_rejected)
    _require_few_rejected(results, config.max_rejected)
    return sorted(results, key=lambda result: (result.entry.split != "train", result.entry.index))


def _require_few_rejected(results: list[ShardResult], max_rejected: int) -> None:
    rejected = [rejection for result in results for rejection in result.rejected]
    if len(rejected) > max_rejected:
        _, file, reason = rejected[0]
        raise DataError(
            f"{len(rejected)} images cannot be read, the first is {file} ({reason}); "
            f"repair them, or raise --max_rejected from {max_rejected}"
        )


def _manifest(table: SourceTable, config: MakeShardsConfig, results: list[ShardResult]) -> Manifest:
    fingerprint = _fingerprint(table)
    return Manifest(
        source=config.source,
        source_fingerprint=fingerprint,
        folds_fingerprint=hashlib.sha256(f"{fingerprint} {config.num_shards} {config.seed}".encode()).hexdigest(),
        classes=table.classes,
        image_size=config.image_size,
        encoder={"format": "JPEG", "fit": config.fit, "quality": config.quality, "subsampling": "4:4:4"},
        shards=tuple(result.entry for result in results),
        codes={
            "missing": example.MISSING,
            "patient_id": "order of first appearance in train, then test",
            "sex": example.SEX_CODES,
            "anatom_site_general_challenge": example.SITE_CODES,
            "diagnosis": example.DIAGNOSIS_CODES,
            "target": {name: code for code, name in enumerate(table.classes)},
        },
        rejected=sum(len(result.rejected) for result in results),
    )


def _fingerprint(table: SourceTable) -> str:
    """Returns a SHA-256 over the rows and the sizes of their files."""
    digest = hashlib.sha256()
    for part in (table.train, table.test):
        for row in () if part is None else part.itertuples(index=False):
            size = row.file.stat().st_size if row.file.is_file() else -1
            digest.update(repr((*(str(value) for value in row if not isinstance(value, Path)), size)).encode())
    return digest.hexdigest()


def _finish(output: Path, manifest: Manifest, results: list[ShardResult], table: SourceTable) -> None:
    """Writes rejected.csv, sample_submission.csv and, last, the manifest; then the parts are no longer needed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image_name", "file", "reason"])
    writer.writerows(rejection for result in results for rejection in result.rejected)
    write_atomically(output / REJECTED_FILE, text.getvalue())
    if table.sample_submission is not None:
        write_atomically(output / SAMPLE_SUBMISSION_FILE, table.sample_submission.read_text())
    write_manifest(output, manifest)
    remove_parts(output)


def _report(manifest: Manifest, output: Path) -> dict:
    splits = Counter(shard.split for shard in manifest.shards)
    return {
        "source": manifest.source,
        "source_fingerprint": manifest.source_fingerprint,
        "classes": manifest.classes,
        "class_counts": manifest.class_counts(),
        "shards": dict(splits),
        "records": {split: sum(shard.records for shard in manifest.split(split)) for split in splits},
        "rejected": manifest.rejected,
        "manifest_sha256": file_sha256(output / MANIFEST_FILE),
    }


def _log_summary(manifest: Manifest, output: Path) -> None:
    counts = ", ".join(f"{n} {name}" for name, n in zip(manifest.classes, manifest.class_counts(), strict=True))
    logging.info("train: %d shards with %s", len(manifest.split("train")), counts)
    if test := manifest.split("test"):
        logging.info("test: %d shards with %d images", len(test), sum(shard.records for shard in test))
    if manifest.rejected:
        logging.warning("%d images were left out: see %s", manifest.rejected, output / REJECTED_FILE)
    logging.info("manifest: %s", output / MANIFEST_FILE)


if __name__ == "__main__":
    stage.main(MakeShardsConfig, run)
