"""The runs that predict: of the same classes, and what they have seen of the images."""

from collections.abc import Sequence

from pipelines.artefacts.classifier_run import OOF_FILE, ClassifierRun, open_classifier_run
from pipelines.artefacts.seen import Certainty, sightings
from pipelines.prediction.new_images import StoredImages
from tfrecords_tools.foundation.errors import CommandError


def open_runs(paths: Sequence[str]) -> list[ClassifierRun]:
    """Returns some runs.

    Raises:
      CommandError: if one is not complete, or its classes are others than those of the first.
    """
    runs = [open_classifier_run(path, "runs") for path in paths]
    for run in runs:
        if run.report.classes != runs[0].report.classes:
            raise CommandError(
                f"--runs: {run.folder} has the classes {', '.join(run.report.classes)}, {runs[0].folder} has "
                f"{', '.join(runs[0].report.classes)}; give runs of the same classes, in the same order"
            )
    return runs


def describe_seen(run: ClassifierRun, images: StoredImages) -> str:
    """Returns a sentence on images that networks of a run were trained on, "" if none are known."""
    manifest, training = images.shards.manifest, [entry for entry in images.entries if entry.split == "train"]
    seen = [run.seen(fold, images.shards) for fold in run.report.folds]
    found = [sighting for each in seen for sighting in sightings(each, manifest, training)]
    certain = {name for sighting in found if sighting.certainty is Certainty.SEEN for name in sighting.shards}
    if not certain and all(sighting.certainty is Certainty.UNKNOWN for sighting in found):
        return ""
    extent = (
        f"images of {len(certain)} of the {len(images.entries)} shards" if certain else "perhaps some of the images"
    )
    return (
        f"{run.folder} was trained on {extent} that it predicts here: these predictions are not out of fold, and look "
        f"better than they are; out of fold are those in {run.folder / OOF_FILE}"
    )
