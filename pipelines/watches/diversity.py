"""Per-class diversity of a generator in training: judged at every checkpoint, written down, and warned about."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from absl import logging

from melgan.metrics.diversity import COLLAPSED_BELOW, relative_diversity
from melgan.sampling import sample_images
from pipelines.artefacts.metrics_file import MetricsWriter, read_metrics

SERIES = "diversity"
IMAGES_PER_CLASS = 32
_WARM_UP_STEPS = 1000


@dataclass(frozen=True)
class Judgement:
    """The diversity of classes by name at a step; a class of fewer than two different real images is not in it."""

    step: int
    diversity: dict[str, float]

    @property
    def collapsed(self) -> set[str]:
        """The classes below the threshold."""
        return {name for name, value in self.diversity.items() if value < COLLAPSED_BELOW}


def judge_diversity(
    generator: keras.Model,
    real_images: Sequence[np.ndarray],
    classes: Sequence[str],
    seed: int,
    per_class: int = IMAGES_PER_CLASS,
) -> dict[str, float]:
    """Returns the relative diversity of the generator's images of each class, by name.

    Arguments:
      generator: maps [latents, labels] to images in [-1, 1].
      real_images: uint8 `[N, H, W, 3]` of each class.
      classes: their names.
      seed: of the latents, which are those of the sample grids.
      per_class: how many images to draw.
    """
    diversity = {}
    for label, (name, real) in enumerate(zip(classes, real_images, strict=True)):
        fakes = np.stack(list(sample_images(generator, [label] * per_class, seed)))
        diversity[name] = relative_diversity(fakes, real)
    return {name: value for name, value in diversity.items() if value is not None}


def read_judgements(workdir: Path) -> list[Judgement]:
    """Returns what was judged in a run so far, in order of the steps."""
    prefix = f"{SERIES}_"
    return [
        Judgement(line["step"], {key.removeprefix(prefix): x for key, x in line.items() if key.startswith(prefix)})
        for line in read_metrics(workdir)
        if line["series"] == SERIES
    ]


def newly_collapsed(judgements: Sequence[Judgement], warm_up_steps: int) -> set[str]:
    """Returns the classes of the last judgement to warn about: collapsed, and not yet so when they were last judged.

    A young generator draws one grey picture whatever the class, so nothing is said before `warm_up_steps`, unless
    some class has left that state: then those that stay behind have collapsed.
    """
    *earlier, last = judgements
    known = earlier[-1].collapsed if earlier and _is_warm(earlier, warm_up_steps) else set()
    return last.collapsed - known if _is_warm(judgements, warm_up_steps) else set()


class DiversityWatch:
    """Judges a generator at checkpoints: a line of metrics each, and a warning when a class collapses.

    Arguments:
      workdir: of the run, where metrics.jsonl is; what it holds tells after a restart what was warned about before.
      classes: names of the classes.
      real_images: uint8 `[N, H, W, 3]` of each class, of which `IMAGES_PER_CLASS` are enough.
      seed: of the latents.
      start_step: judgements of later steps, left by a run that was killed or rolled back, are dropped.
    """

    def __init__(
        self,
        workdir: Path,
        classes: Sequence[str],
        real_images: Sequence[np.ndarray],
        *,
        seed: int,
        start_step: int,
    ) -> None:
        self._workdir, self._classes, self._real_images, self._seed = workdir, classes, real_images, seed
        self._writer = MetricsWriter(workdir, SERIES, start_step)

    def judge(self, generator: keras.Model, step: int) -> None:
        """Judges the generator as it is at a step; what was said of this step before is replaced."""
        self._writer.drop_after(step - 1)
        diversity = judge_diversity(generator, self._real_images, self._classes, self._seed)
        self._writer.write(step, {f"{SERIES}_{name}": value for name, value in diversity.items()})
        collapsed = sorted(newly_collapsed(read_judgements(self._workdir), _WARM_UP_STEPS))
        if collapsed:
            logging.warning(
                "step %d: synthetic images of %s have collapsed: they differ from each other by less than %g of what "
                "real ones do; look at the sample grid, and try --augmentation=diffaugment, --label_sampling=sqrt or a "
                "lower --learning_rate in a new workdir",
                step,
                ", ".join(f"{name} ({diversity[name]:.3f})" for name in collapsed),
                COLLAPSED_BELOW,
            )


def _is_warm(judgements: Sequence[Judgement], warm_up_steps: int) -> bool:
    healthy = any(set(judgement.diversity) - judgement.collapsed for judgement in judgements)
    return healthy or judgements[-1].step >= warm_up_steps
