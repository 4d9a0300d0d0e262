"""Shards, real or synthetic -> folders or tar files that others read, with a data card.

    python -m pipelines.export --shards=SHARDS --output=FOLDER --licence=cc-by-nc-4.0
    python -m pipelines.export --shards=SYNTHETIC --output=FOLDER --licence=cc-by-nc-4.0 --form=webdataset

Writes images byte for byte, as a folder per class, WebDataset tar files or a Hugging Face image folder; a table of what
is known of each; and README.md, the card: what the set holds, what made it, from what, and what is known of copies.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from absl import logging

from pipelines.artefacts.evaluation import COMMAND as EVALUATION
from pipelines.artefacts.evaluation import EvaluationReport
from pipelines.artefacts.shards import Shards, open_any_shards
from pipelines.contract.main import main
from pipelines.contract.progress import counted
from pipelines.contract.shared_settings import CacheSettings
from pipelines.contract.workdir import folder_input, local_folder, open_workdir, read_report, require_run
from pipelines.conversion.card import CARD_FILE, data_card
from tfrecords_tools.exports import EXPORTS
from tfrecords_tools.exports.images import images_of
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.files import file_sha256, write_atomically
from tfrecords_tools.foundation.settings import require, setting
from tfrecords_tools.manifest import MANIFEST_FILE, ShardEntry

COMMAND = "export"
_LABELLED = ("train", "synthetic")


@dataclass(frozen=True, kw_only=True)
class ExportConfig(CacheSettings):
    """Settings of export."""

    shards: str = setting(help="folder of shards, real or synthetic, local or gs://", is_path=True)
    output: str = setting(help="folder of what is exported", changes_result=False)
    licence: str = setting(help="licence of the images, such as cc-by-nc-4.0; for the card")
    form: str = setting("image_folder", "what is written", choices=tuple(EXPORTS))
    title: str = setting("", "title of the card (default: the name of the folder)")
    evaluation: str = setting(
        "", "evaluation of synthetic images, by evaluate_gan: its memorisation stands on the card", is_path=True
    )
    with_test: bool = setting(False, "export the images of the test split, which have no labels, too")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.licence.strip()), "licence", self.licence, "the licence of the images, such as cc-by-nc-4.0")
        require(
            not self.with_test or self.form != "image_folder",
            "with_test",
            self.with_test,
            "left out with --form=image_folder, which has a folder per class",
        )


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """The report of export: how many images were written in which form, and the SHA-256 of their manifest."""

    form: str
    images: int
    manifest_sha256: str


def run(config: ExportConfig) -> None:
    """Exports a set of shards."""
    workdir = open_workdir(local_folder(config.output, "output"), COMMAND, config)
    if workdir is None:
        return
    with workdir:
        shards = open_any_shards(config.shards, "shards", config.cache_dir)
        evaluation = _evaluation_of(shards, config.evaluation) if config.evaluation else None
        inputs = {"shards": folder_input(shards.folder)}
        workdir.begin(inputs | ({"evaluation": folder_input(config.evaluation)} if config.evaluation else {}))
        manifest_sha256 = file_sha256(shards.folder / MANIFEST_FILE)
        entries = _entries(shards, with_test=config.with_test)
        count = sum(entry.records for entry in entries)
        images = images_of(shards.folder, shards.manifest, entries)
        EXPORTS[config.form](workdir.path, counted(images, "exported", count, "images"))
        card = data_card(
            shards.manifest,
            manifest_sha256,
            licence=config.licence.strip(),
            title=config.title or shards.folder.name,
            evaluation=evaluation,
            splits=tuple(dict.fromkeys(entry.split for entry in entries)),
        )
        write_atomically(workdir.path / CARD_FILE, card)
        report = ExportReport(form=config.form, images=count, manifest_sha256=manifest_sha256)
        workdir.complete(report, [CARD_FILE])
    logging.info("%d images as %s: %s", count, config.form, workdir.path)


def _entries(shards: Shards, *, with_test: bool) -> list[ShardEntry]:
    """Returns the shards to export, split by split."""
    splits = (*_LABELLED, "test") if with_test else _LABELLED
    entries = [entry for split in splits for entry in shards.manifest.split(split)]
    if not entries:
        raise CommandError(f"{shards.folder}: holds test images alone; give --with_test to export them")
    return entries


def _evaluation_of(shards: Shards, path: str) -> EvaluationReport:
    """Returns the report of an evaluation of the generator of synthetic shards.

    Raises:
      CommandError: for real shards, or an evaluation of another generator, or of images that were drawn otherwise.
    """
    report = read_report(require_run(path, "evaluation", EVALUATION), EvaluationReport)
    made_by = shards.manifest.provenance
    if made_by is None or report.generator != made_by.generator:
        what = "are of real images" if made_by is None else f"were drawn by another generator, {made_by.generator[:12]}"
        raise CommandError(
            f"--evaluation={path}: evaluates the generator {report.generator[:12]}, and the shards of {shards.folder} "
            f"{what}; give the evaluation of these, or leave it out"
        )
    if report.drawn_with != made_by.drawn_with:
        raise CommandError(
            f"--evaluation={path}: evaluates images drawn with {_told(report.drawn_with)}, and those of "
            f"{shards.folder} were drawn with {_told(made_by.drawn_with)}; evaluate these by "
            f"--synthetic={shards.folder}"
        )
    return report


def _told(settings: Mapping[str, str] | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in (settings or {}).items()) or "the defaults"


if __name__ == "__main__":
    main(ExportConfig, run)
