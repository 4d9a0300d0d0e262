"""A design that fits the time there is: what costs most and tells least is cut first, as CUTS lists it."""

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pipelines.artefacts.study import StudyConfig
from pipelines.studying.design import Design
from pipelines.studying.pilot import Costs, hours_left
from pipelines.studying.real_images import RealImages
from tfrecords_tools.foundation.documents import read_document, write_document
from tfrecords_tools.foundation.errors import CommandError

DESIGN_FILE = "design.json"
# Settings, and how few each is cut down to, one after the other until the hours suffice.
CUTS = (("seeds", 3), ("generator_seeds", 2), ("ratios", 2), ("seeds", 2), ("generator_seeds", 1), ("ratios", 1))
CUTS += (("methods", 1),)
_LEAST_SAVING = 0.01  # of the hours, for which a cut is worth it
_REMEDY = "remove it, and start the same command again"


@dataclass(frozen=True)
class Sizes:
    """The settings of a study that a budget may cut."""

    methods: tuple[str, ...]
    ratios: tuple[str, ...]
    seeds: int
    generator_seeds: int

    @classmethod
    def of(cls, config: StudyConfig) -> "Sizes":
        """Returns those of a config."""
        return cls(config.methods, config.ratios, config.seeds, config.generator_seeds)

    def cut_from(self, asked: "Sizes") -> tuple[str, ...]:
        """Returns what differs from what was asked for, in words."""
        own, others = asdict(self), asdict(asked)
        return tuple(
            f"{name}: {_text(own[name])} of {_text(others[name])}" for name in own if own[name] != others[name]
        )


def fit(design: Design, images: RealImages, costs: Costs) -> Design:
    """Returns the design that `config.budget_hours` suffice for.

    Raises:
      CommandError: if even the smallest takes longer.
    """
    budget = design.config.budget_hours
    for name, least in CUTS:
        while _size(design.config, name) > least and (hours := hours_left(design, images, costs)) > budget:
            smaller = _smaller(design, name)
            if hours_left(smaller, images, costs) > (1 - _LEAST_SAVING) * hours:
                break
            design = smaller
    hours = hours_left(design, images, costs)
    if hours > budget:
        raise CommandError(
            f"--budget_hours={budget:g}: the smallest design takes {hours:.2g}; give more, fewer --num_folds, or "
            "shorter trainings by --gan_settings and --classifier_settings"
        )
    return design


def with_sizes(design: Design, sizes: Sizes) -> Design:
    """Returns a design of other sizes."""
    config = replace(design.config, **asdict(sizes))
    return Design(config, design.shards, design.label, config.methods)


def read_sizes(folder: Path) -> Sizes | None:
    """Returns the sizes that a study was begun with; None if it was not."""
    path = folder / DESIGN_FILE
    return read_document(path, Sizes, _REMEDY) if path.is_file() else None


def write_sizes(folder: Path, sizes: Sizes) -> None:
    """Writes the sizes of a study, so that it resumes with the same however fast the machine is then."""
    write_document(folder / DESIGN_FILE, sizes)


def _size(config: StudyConfig, name: str) -> int:
    value = getattr(config, name)
    return value if isinstance(value, int) else len(value)


def _smaller(design: Design, name: str) -> Design:
    """Returns the design with one seed, ratio or method less: the ratio farthest from 1, the method listed last."""
    sizes = Sizes.of(design.config)
    value = getattr(sizes, name)
    if name == "ratios":
        farthest = max(value, key=lambda ratio: (abs(math.log(float(ratio))), float(ratio)))
        less = tuple(ratio for ratio in value if ratio != farthest)
    else:
        less = value - 1 if isinstance(value, int) else value[:-1]
    return with_sizes(design, replace(sizes, **{name: less}))


def _text(value: int | tuple[str, ...]) -> str:
    return str(value) if isinstance(value, int) else ", ".join(value)
