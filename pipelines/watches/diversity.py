"""The diversity of each class while a generator trains: a line at every checkpoint, with a warning of collapse."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import logging

from melgan.metrics.diversity import COLLAPSED_BELOW, relative_diversity
from melgan.sampling import Sampler, first_requests
from pipelines.artefacts.diversity_history import SERIES, Diversity, read_diversity
from pipelines.artefacts.metrics_file import MetricsWriter

IMAGES_PER_CLASS = 32
_WARM_UP_STEPS = 1000


def measure_diversity(
    sampler: Sampler, real_images: Sequence[np.ndarray], per_class: int = IMAGES_PER_CLASS
) -> dict[str, float]:
    """Returns the relative diversity of the sampler's images of each class, by name.

    Arguments:
      sampler: whose first images are compared.
      real_images: uint8 `[N, H, W, 3]` of each class.
      per_class: how many images to draw.
    """
    found = {
        name: relative_diversity(sampler.draw(first_requests(label, per_class)).images, real)
        for label, (name, real) in enumerate(zip(sampler.classes, real_images, strict=True))
    }
    return {name: value for name, value in found.items() if value is not None}


def newly_collapsed(history: Sequence[Diversity], warm_up_steps: int) -> set[str]:
    """Returns the classes to warn about: collapsed at the last checkpoint, and not yet so at the one before.

    A young generator draws one grey picture whatever the class, so nothing is said before `warm_up_steps`, unless
    some class has left that state: then those that stay behind have collapsed.
    """
    *earlier, last = history
    known = earlier[-1].collapsed if earlier and _is_warm(earlier, warm_up_steps) else set()
    return last.collapsed - known if _is_warm(history, warm_up_steps) else set()


class DiversityWatch:
    """Measures the diversity of a sampler at checkpoints: a line of metrics each, and a warning when a class collapses.

    Arguments:
      workdir: of the run; its metrics.jsonl tells after a restart which warnings were given.
      sampler: of the generator in training.
      real_images: uint8 `[N, H, W, 3]` of each class, of which `IMAGES_PER_CLASS` are enough.
      start_step: lines of later steps, left by a run that was killed or rolled back, are dropped.
    """

    def __init__(self, workdir: Path, sampler: Sampler, real_images: Sequence[np.ndarray], *, start_step: int) -> None:
        self._workdir, self._sampler, self._real_images = workdir, sampler, real_images
        self._writer = MetricsWriter(workdir, SERIES, start_step)

    def measure(self, step: int) -> None:
        """Measures the generator as it is at a step; earlier lines of this step are replaced."""
        self._writer.drop_after(step - 1)
        diversity = measure_diversity(self._sampler, self._real_images)
        self._writer.write(step, Diversity(step, diversity).as_metrics())
        collapsed = sorted(newly_collapsed(read_diversity(self._workdir), _WARM_UP_STEPS))
        if collapsed:
            logging.warning(
                "step %d: synthetic images of %s have collapsed: they differ from each other by less than %g of what "
                "real ones do; look at the sample grid, and try --augmentation=diffaugment, --label_sampling=sqrt or a "
                "lower --learning_rate in a new workdir",
                step,
                ", ".join(f"{name} ({diversity[name]:.3f})" for name in collapsed),
                COLLAPSED_BELOW,
            )


def _is_warm(history: Sequence[Diversity], warm_up_steps: int) -> bool:
    healthy = any(set(each.of_class) - each.collapsed for each in history)
    return healthy or history[-1].step >= warm_up_steps
