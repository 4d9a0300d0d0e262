"""The methods paragraph of a study, for a paper."""

from collections.abc import Mapping, Sequence

from pipelines.artefacts.adopted_run import METHOD, TRAINING, UNKNOWN
from pipelines.artefacts.seen import SEEN_IS
from pipelines.artefacts.study import GENERATOR_SETTINGS, MADE_FROM_IMAGES, NETWORK, StudyConfig, StudyReport
from pipelines.pages.page import sentences
from tfrecords_tools.provenance import DECLARED, NOT_KNOWN


def methods_paragraph(config: StudyConfig, report: StudyReport, shards_digest: str, versions: Mapping[str, str]) -> str:
    """Returns what was done, in the words of a paper, with what tells it apart.

    Arguments:
      config: of the study.
      report: of the study.
      shards_digest: of the real shards.
      versions: of packages by name.
    """
    given = _given([each for name in GENERATOR_SETTINGS for each in getattr(config, name)])
    drawn = [method for method in report.methods if method not in MADE_FROM_IMAGES and _rejects_copies(config, method)]
    rejected = f"; of {', '.join(drawn)}, those nearer to a training image than held-out real images are were rejected"
    ratios = ", ".join(f"{ratio:g}" for ratio in config.ratio_values)
    group = "patients" if report.has_patients else "images"
    of_patients = f", of {report.patients} patients, whose images stay together" if report.has_patients else ""
    versions_text = ", ".join(f"{name} {version}" for name, version in versions.items())
    return sentences(
        f"We used {report.images} images, {report.positives} of the class {report.label}{of_patients}, in "
        f"{config.num_folds} folds.",
        f"For each fold we trained {config.generator_seeds} generator(s) of each of {', '.join(report.methods)}{given} "
        f"on the other folds (seeds from {config.seed}), and drew images of the class{rejected if drawn else ''}.",
        adopted_text(config, report),
        _classifiers(config),
        f"Synthetic images were added to the real ones of the class at ratios of {ratios}; all arms saw as many "
        "images.",
        "The primary metric is the area under the ROC curve, mean of the folds. Differences from the same classifiers "
        f"without synthetic images have 95 % intervals from {config.resamples} resamples of {group} and seeds, "
        "simultaneous over all synthetic arms (max-T).",
        f"That differences within {config.margin:g} are not relevant was fixed before.",
        f"Shards {shards_digest[:16]}; {versions_text}.",
    )


def adopted_text(config: StudyConfig, report: StudyReport) -> str:
    """Returns sentences on images that were drawn elsewhere; empty without any."""
    if METHOD not in report.methods:
        return ""
    return sentences(
        f"The images of {METHOD} were drawn elsewhere, by a generator that was not trained here.",
        SEEN_IS[NOT_KNOWN if config.seen_by_adopted == UNKNOWN else DECLARED],
    )


def _rejects_copies(config: StudyConfig, method: str) -> bool:
    """Returns whether copies of training images can be told, which takes knowing those of the generator."""
    return method != METHOD or config.seen_by_adopted == TRAINING


def _classifiers(config: StudyConfig) -> str:
    seeds = f"with {config.seeds} seed(s) for each arm and fold"
    if config.classifier == NETWORK:
        return f"A network was trained end to end{_given(config.classifier_settings)}, {seeds}."
    return (
        f"On features of the images ({config.features}), real and synthetic, a logistic regression of the class "
        f"against the rest was trained by averaged stochastic gradient descent (weight decay {config.weight_decay:g}; "
        f"{config.passes} times as many images as there are real ones), {seeds}."
    )


def _given(settings: Sequence[str]) -> str:
    return f" ({', '.join(settings)}; otherwise defaults)" if settings else ""
