"""The verdict of an evaluation: which classes are like real images, which collapsed, and whether any are copies."""

from melgan.metrics.memorisation import FEATURES, PIXELS
from pipelines.artefacts.evaluation import EvaluationReport, row_of, value_of
from pipelines.pages.page import Table, sentences

LIKE_REAL, DIFFERENT, COLLAPSED, UNKNOWN = "not told from real images", "different", "collapsed", "not known"
COPIED = "suspected copies"
_LEAST_IMAGES = 10  # of a class on each side; of fewer an interval tells nothing
_UNLIKELY = 0.01  # of a p, as every class and space has one
_SAID = {
    COLLAPSED: "Collapsed (nearly alike, or without the variety of real images)",
    DIFFERENT: "Different from real images by KID",
    LIKE_REAL: "Not told from real images by KID",
    UNKNOWN: "Without enough images to say",
}
_COMPARED = {"kid": "KID", "recall": "recall", "ms_ssim": "MS-SSIM of pairs"}


def verdict(report: EvaluationReport) -> str:
    """Returns sentences on the classes, each beside real images of it, and on copies."""
    found: dict[str, list[str]] = {}
    for name in report.classes:
        found.setdefault(verdict_of(report, name), []).append(name)
    classes = (f"{words}: {', '.join(found[kind])}." for kind, words in _SAID.items() if kind in found)
    return sentences(*classes, _copies(report))


def verdict_of(report: EvaluationReport, name: str) -> str:
    """Returns the verdict on a class."""
    if value_of(report.synthetic, "recall", name) == 0 or _resemble_each_other(report, name):
        return COLLAPSED
    if _has_copies(report, name):
        return COPIED
    return {True: DIFFERENT, False: LIKE_REAL, None: UNKNOWN}[_is_above_real(report, name, "kid")]


def verdict_table(report: EvaluationReport) -> Table:
    """Returns the verdict on each class, with the metrics that it rests on and those of real images."""
    reasons = dict(summary(report))
    known = {name: title for name, title in _COMPARED.items() if any(row.name == name for row in report.synthetic)}
    rows = (
        (
            name,
            verdict_of(report, name),
            *(_beside_real(report, metric, name) for metric in known),
            reasons.get(name, ""),
        )
        for name in report.classes
    )
    return Table(("class", "verdict", *known.values(), "what stands out"), tuple(rows))


def summary(report: EvaluationReport) -> list[tuple[str, str]]:
    """Returns classes, and of each what stands out: collapse, distance from real images, suspected copies."""
    standing_out = []
    for scope in report.classes:
        above_real = _is_above_real(report, scope, "kid")
        found = [
            text
            for text, holds in (
                (
                    "no real image lies among the synthetic ones (recall 0)",
                    value_of(report.synthetic, "recall", scope) == 0,
                ),
                ("images resemble each other more than real ones do (MS-SSIM)", _resemble_each_other(report, scope)),
                ("KID cannot be told from the KID of real images", above_real is False),
                ("KID is above the KID of real images", above_real),
                ("more images than by chance lie near to a training image", _has_copies(report, scope)),
            )
            if holds
        ]
        if found:
            standing_out.append((scope, "; ".join(found)))
    return standing_out


def _copies(report: EvaluationReport) -> str:
    """Returns a sentence on copies, also where nothing is known of them."""
    suspected = [name for name in report.classes if _has_copies(report, name)]
    if suspected:
        return f"Suspected copies: more images of {', '.join(suspected)} than by chance lie near to a training image."
    if not any(_copies_by_chance(report, name) for name in report.classes):
        return "Whether images are copies was not looked for."
    return "Copies: no class has more images near to training images than by chance."


def _has_copies(report: EvaluationReport, scope: str) -> bool:
    return any(probability < _UNLIKELY for probability in _copies_by_chance(report, scope))


def _copies_by_chance(report: EvaluationReport, scope: str) -> list[float]:
    """Returns how probable as many near images are by chance, in each space in which they were looked for."""
    probabilities = [value_of(report.synthetic, f"copies_{space}_p", scope) for space in (FEATURES, PIXELS)]
    return [probability for probability in probabilities if probability is not None]


def _beside_real(report: EvaluationReport, metric: str, scope: str) -> str:
    values = (value_of(rows, metric, scope) for rows in (report.synthetic, report.real))
    synthetic, real = ("-" if value is None else f"{value:.3g}" for value in values)
    return f"{synthetic} (real {real})"


def _is_above_real(report: EvaluationReport, scope: str, name: str) -> bool | None:
    """Returns whether a metric's interval lies above the value of real images; None where one of them is missing."""
    row, real = row_of(report.synthetic, name, scope), value_of(report.real, name, scope)
    if row is None or real is None or row.low is None or min(row.evaluated, row.reference) < _LEAST_IMAGES:
        return None
    return row.low > real


def _resemble_each_other(report: EvaluationReport, scope: str) -> bool:
    row, real = (row_of(rows, "ms_ssim", scope) for rows in (report.synthetic, report.real))
    known = row is not None and real is not None and row.low is not None and real.high is not None
    return known and row.low > real.high
