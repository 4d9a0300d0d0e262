"""The sampler of a run of train_translator, with the real images that it makes others from."""

from collections.abc import Sequence
from dataclasses import replace

from melgan.translation.samplers import make_sampler
from melgan.translation.translators import outlined_by, translator_of
from pipelines.artefacts.image_sets import require_large_images
from pipelines.artefacts.shards import Shards, open_shards
from pipelines.artefacts.translator_run import TranslatorRun, load_translator, open_translator_run
from pipelines.contract.shared_settings import SamplingSettings
from pipelines.synthesis.opened import OpenedSampler
from pipelines.synthesis.sources import read_sources
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.manifest import ShardEntry


def open_translator(path: str, field: str, settings: SamplingSettings) -> OpenedSampler:
    """Returns the sampler of a translator run that a setting names.

    Its sources are the images that it was trained on, or those of `--sources`.

    Raises:
      CommandError: if the run is not complete or damaged, or there are no sources.
    """
    run = open_translator_run(path, field)
    shards, entries = _source_shards(run, settings)
    is_paired = translator_of(run.config).is_paired
    if settings.edits and not is_paired:
        raise CommandError(
            f"--edits={','.join(settings.edits)}: edits change masks, and METHOD={run.config.method} translates whole "
            "images; leave --edits out, or take a run of METHOD=pix2pix"
        )
    names = shards.classes if is_paired else run.report.source_classes
    labels = [shards.classes.index(name) for name in names]
    sources, shard_of = read_sources(
        shards, entries, labels, run.config.image_size, outlined_by=_outlines_there(run, shards, entries)
    )
    return OpenedSampler(
        sampler=make_sampler(
            run.config,
            load_translator(run),
            sources,
            run.report.classes,
            target=run.report.classes.index(run.report.target_class),
            seed=settings.seed,
            edits=settings.edits,
            edit_strength=settings.edit_strength,
        ),
        sha256=run.report.generator_sha256,
        method=run.config.method,
        seed=settings.seed,
        seen=replace(run.report.seen, made_from=(shards.used(entries),)),
        class_counts=run.report.class_counts,
        shards=run.config.shards,
        drawn_with=_drawn_with(settings),
        sources=sources,
        sources_folder=shards.folder,
        shard_of=shard_of,
    )


def _outlines_there(run: TranslatorRun, shards: Shards, entries: Sequence[ShardEntry]) -> str:
    """Returns the outlines that the run learned from, if the sources have any of them."""
    wanted = outlined_by(run.config)
    return wanted if wanted and any(shards.read(entries).counts_of(wanted)) else ""


def _source_shards(run: TranslatorRun, settings: SamplingSettings) -> tuple[Shards, tuple[ShardEntry, ...]]:
    """Returns the shards of the sources, and which of them: of those that it was trained on, no others.

    Raises:
      CommandError: for shards of other classes, too small images, or shards of the run that were made anew.
    """
    field = "sources" if settings.sources else "shards"
    shards = open_shards(settings.sources or run.config.shards, field, settings.cache_dir)
    require_large_images(shards, run.config.image_size)
    if shards.classes != run.report.classes:
        raise CommandError(
            f"{shards.folder}: has the classes {', '.join(shards.classes)}, the translator has "
            f"{', '.join(run.report.classes)}; give shards of the same"
        )
    entries, trained_on = shards.manifest.split("train"), run.report.trained_on
    if shards.manifest.folds_fingerprint == trained_on.folds_fingerprint:
        return shards, tuple(entry for entry in entries if entry.index in trained_on.indices)
    if not settings.sources:
        raise CommandError(
            f"{shards.folder}: holds shards of other folds now than those that the translator was trained on; give the "
            "images to make others from as --sources"
        )
    return shards, entries


def _drawn_with(settings: SamplingSettings) -> dict[str, str]:
    """Returns the settings of edits, if there are any."""
    if not settings.edits:
        return {}
    return {"edits": ",".join(settings.edits), "edit_strength": f"{settings.edit_strength:g}"}
