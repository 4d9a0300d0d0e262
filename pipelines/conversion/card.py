"""The card of an exported set: what it holds, what made it, from what, and what is known of copies."""

import json
from collections.abc import Sequence

from pipelines.artefacts.evaluation import EvaluationReport
from pipelines.artefacts.seen import SEEN_IS
from tfrecords_tools.manifest import Manifest
from tfrecords_tools.provenance import NOT_KNOWN, RECORDED, SyntheticProvenance

CARD_FILE = "README.md"
_COPIES = {"copies_features": "in the features of the evaluation", "copies_pixels": "in pixels"}


def data_card(
    manifest: Manifest,
    digest: str,
    *,
    licence: str,
    title: str,
    evaluation: EvaluationReport | None,
    splits: Sequence[str],
) -> str:
    """Returns the card in Markdown, with the header that Hugging Face reads.

    Arguments:
      manifest: of the shards.
      digest: of the manifest.
      licence: of the images, as the user gave it.
      title: of the set.
      evaluation: of synthetic images; None for real ones, or where none was given.
      splits: that are exported.
    """
    lines = [
        "---",
        f"license: {json.dumps(licence)}",
        f"pretty_name: {json.dumps(title)}",
        "task_categories:",
        "- image-classification",
        "---",
    ]
    lines += [f"# {title}", "", f"Licence: {licence}", "", "## What it holds", ""]
    lines += [f"RGB JPEGs of {manifest.image_size} x {manifest.image_size} px.", "", "| split | class | images |"]
    lines += ["| --- | --- | --- |", *_counts(manifest, splits), "", "## What it was made from", ""]
    if manifest.provenance is None:
        lines += [f"Real images of {manifest.source}, converted by melgan ({_encoder(manifest)}).", ""]
        lines += [f"{manifest.rejected} images could not be read and are left out."]
    else:
        lines += _of_generator(manifest.provenance)
        lines += ["", "## Copies", "", *_of_copies(manifest.provenance, evaluation)]
    lines += ["", f"Manifest of the shards: sha256 {digest}; rows: {manifest.source_fingerprint or 'none'}."]
    return "\n".join(lines) + "\n"


def _counts(manifest: Manifest, splits: Sequence[str]) -> list[str]:
    rows = []
    for split in splits:
        counts = manifest.class_counts(split)
        if any(counts):
            rows += [
                f"| {split} | {name} | {count} |" for name, count in zip(manifest.classes, counts, strict=True) if count
            ]
        else:
            rows.append(f"| {split} | without labels | {sum(entry.records for entry in manifest.split(split))} |")
    return rows


def _encoder(manifest: Manifest) -> str:
    return ", ".join(f"{name} {value}" for name, value in manifest.encoder.items())


def _of_generator(made_by: SyntheticProvenance) -> list[str]:
    lines = [f"Synthetic images, drawn by {_generator(made_by)}{_trained_on(made_by)}."]
    if SEEN_IS[made_by.seen_is]:
        lines += ["", SEEN_IS[made_by.seen_is]]
    if made_by.drawn_with:
        settings = ", ".join(f"{name} {value}" for name, value in made_by.drawn_with.items())
        lines += ["", f"Drawn with {settings}."]
    if made_by.ancestors:
        lines += ["", "The generator started from the weights of another, which saw further shards."]
    if made_by.made_from:
        lines += ["", "Each image was made from a real one and shows something of it. **This set is not anonymous.**"]
    return lines


def _generator(made_by: SyntheticProvenance) -> str:
    if made_by.seen_is != RECORDED:
        return f"{made_by.method}, which is no generator of melgan (images sha256 {made_by.generator})"
    return f"a generator of the method {made_by.method} (weights sha256 {made_by.generator}, seed {made_by.seed})"


def _trained_on(made_by: SyntheticProvenance) -> str:
    """Returns what a generator was trained on, as the end of a sentence; empty where it is not known."""
    used = made_by.trained_on
    if made_by.seen_is == NOT_KNOWN:
        return ""
    if not used.shards:
        return f", trained on none of the real images of the folds {used.folds_fingerprint[:16]}"
    return (
        f", which was trained on {len(used.shards)} shards of real images (folds {used.folds_fingerprint[:16]}): "
        f"{', '.join(used.shards)}"
    )


def _of_copies(made_by: SyntheticProvenance, evaluation: EvaluationReport | None) -> list[str]:
    rejected = made_by.rejected_copies
    lines = [
        "Suspected copies of training images were not looked for."
        if rejected is None
        else f"{rejected} images were left out as suspected copies of training images."
    ]
    if made_by.near_source is not None:
        lines += ["", f"{made_by.near_source:.1%} lie nearer to the image that they show most of than real images do."]
    rows = [] if evaluation is None else [row for row in evaluation.synthetic if row.name in _COPIES]
    measured = [row for row in rows if row.value is not None]
    if not measured:
        return [*lines, "", "Memorisation was not measured: no evaluation that has it was given with the export."]
    lines += ["", f"Memorisation, measured with {evaluation.features} features by held-out images:", ""]
    for row in measured:
        interval = "" if row.low is None else f" ({row.low:.3f} to {row.high:.3f})"
        lines.append(f"- {row.scope}: {row.value:.3f}{interval} lie near to a training image {_COPIES[row.name]}")
    return lines
