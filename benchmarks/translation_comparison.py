"""Translators at equal processor time, beside untouched sources and real images.

    python -m benchmarks.translation_comparison --output=FOLDER --minutes=20
    python -m benchmarks.translation_comparison --output=FOLDER --minutes=20 --shards=SHARDS --num_folds=5 --fold=0

Without shards on phantom lesions, whose masks and counterfactuals are true. Shards are real images of two classes with
masks, `make_shards --masks=FOLDER` or `auto`. Every method trains for so many minutes of the processor, so that other
work beside it does not count: a trial measures its speed, from which the steps follow, over half of which the learning
rate falls. Compiling does not count either. What it makes of held-out images of the source class is measured, and
whether a linear classifier gains from what it makes of the training images. The row `none` is the sources untouched,
the floor, and `real` are images of the target class.
Methods and seeds that are done are not done again, and several processes can work in a folder.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.designs import require_same_design
from benchmarks.translation_domains import Domains, domains_of_shards, drawn_domains, joined
from benchmarks.translation_measures import ROWS_BESIDE, Judge, Measures, measures_beside, measures_of, table
from benchmarks.translator_training import mirrored_examples, take_steps
from melgan.images import to_signed_float, to_uint8
from melgan.sampling import BATCH_SIZE, first_requests
from melgan.sources import Sources
from melgan.training.distribution import make_strategy
from melgan.translation.config import TranslatorConfig
from melgan.translation.samplers import make_sampler
from melgan.translation.trainer import TranslationTrainer
from melgan.translation.translators import TRANSLATORS, outlined_by, resolve, translator_of
from pipelines.pages.grids import Column, write_grid
from tfrecords_tools.foundation.errors import look_up
from tfrecords_tools.foundation.files import write_atomically
from tfrecords_tools.foundation.texts import as_file_name

CLASSES = ("source", "target")
_SETTINGS_FILE = "translation_comparison.json"
_TRIAL_STEPS = 20
_STEPS_PER_CALL = 10
_SHOWN = 10  # images in a picture


@dataclass(frozen=True)
class Design:
    """What is trained on, for how long, and how large; `shards` are of phantom lesions if there are none."""

    shards: str = ""
    num_folds: int = 5
    fold: int = 0
    minutes: float = 20.0
    image_size: int = 64
    width: float = 0.25
    batch_size: int = 1


@dataclass(frozen=True)
class Variant:
    """A method, as published or making changes that are added to the image (`residual`)."""

    method: str
    residual: bool

    @property
    def name(self) -> str:
        """The name of its row."""
        return f"{self.method}, residual" if self.residual else self.method

    def config(self, design: Design, seed: int) -> TranslatorConfig:
        """Returns its settings."""
        return resolve(
            TranslatorConfig(
                method=self.method,
                residual=self.residual,
                image_size=design.image_size,
                width=design.width,
                global_batch_size=design.batch_size,
                seed=seed,
            )
        )


def variants(text: str) -> list[Variant]:
    """Returns the variants of a text such as `cut,auggan+residual`.

    Raises:
      ConfigError: for a method that there is not.
    """
    found = []
    for part in filter(None, text.split(",")):
        method, _, addition = part.partition("+")
        look_up(TRANSLATORS, method, "--methods")
        found.append(Variant(method, look_up({"": False, "residual": True}, addition, f"--methods={part}")))
    return found


def train(config: TranslatorConfig, domains: Domains, seconds: float) -> tuple[TranslationTrainer, int, float]:
    """Returns a translator that was trained for a time, its steps, and the seconds that each took."""
    trial = _trainer(config, _TRIAL_STEPS + _STEPS_PER_CALL)
    batches = iter(_batches(config, domains))
    _timed_steps(trial, batches, 0, _STEPS_PER_CALL)  # compiles
    speed = _timed_steps(trial, batches, _STEPS_PER_CALL, _TRIAL_STEPS) / _TRIAL_STEPS
    steps = max(1, round(seconds / speed))
    trainer = _trainer(config, steps)
    _timed_steps(trainer, batches, 0, 1)
    taken = _timed_steps(trainer, batches, 1, steps - 1)
    return trainer, steps, taken / max(1, steps - 1)


def translate(config: TranslatorConfig, trainer: TranslationTrainer, sources: Sources) -> np.ndarray:
    """Returns what becomes of every source as an image of the target class, uint8 `[N, H, W, 3]`, in their order."""
    target = CLASSES.index("target")
    sampler = make_sampler(config, trainer.average_generator, sources, CLASSES, target=target, seed=config.seed)
    drawn = sampler.draw(first_requests(target, len(sources)))
    place = {names[0]: row for row, names in enumerate(drawn.made_from)}
    return drawn.images[[place[name] for name in sources.names]]


def measure(design: Design, variant: Variant, seed: int, *, domains: Domains, judge: Judge, picture: Path) -> Measures:
    """Trains a variant, and returns its measures; writes a picture of held-out images and what became of them."""
    config = variant.config(design, seed)
    trainer, steps, seconds = train(config, domains, 60 * design.minutes)
    made = translate(config, trainer, domains.held_out_sources)
    columns = [Column("source", domains.held_out_sources.images[:_SHOWN]), Column(variant.name, made[:_SHOWN])]
    if domains.truths is not None:
        columns.append(Column("truth", domains.truths[:_SHOWN]))
    write_grid(picture, columns)
    added = translate(config, trainer, domains.sources)
    cost = {"steps": float(steps), "seconds_per_step": seconds}
    return measures_of(made, domains, judge, back=_way_back(trainer), added=added) | cost


def run(output: Path, design: Design, compared: Sequence[Variant], seeds: Sequence[int]) -> dict[str, list[Measures]]:
    """Measures what is not in a folder yet; returns all that is in it, by the name of the row, a seed each.

    Raises:
      CommandError: if the folder holds a comparison of another design.
    """
    settings = output / _SETTINGS_FILE
    require_same_design(settings, asdict(design))
    missing = [(seed, each) for seed in seeds for each in compared if not _file_of(output, each.name, seed).is_file()]
    if missing or not all(_file_of(output, name, 0).is_file() for name in ROWS_BESIDE):
        domains = _domains(design)
        judge = Judge(domains)
        for name, measures in measures_beside(domains, judge).items():
            _write(_file_of(output, name, 0), name, measures)
        for seed, variant in missing:
            path = _file_of(output, variant.name, seed)
            picture = path.with_suffix(".png")
            _write(path, variant.name, measure(design, variant, seed, domains=domains, judge=judge, picture=picture))
    rows: dict[str, list[Measures]] = {}
    for path in sorted(set(output.glob("*.json")) - {settings}):
        told = json.loads(path.read_text())
        rows.setdefault(told.pop("row"), []).append(told)
    return rows


def _domains(design: Design) -> Domains:
    if not design.shards:
        return drawn_domains(design.image_size)
    return domains_of_shards(design.shards, design.image_size, num_folds=design.num_folds, fold=design.fold)


def _file_of(output: Path, name: str, seed: int) -> Path:
    return output / f"{as_file_name(name)}_{seed}.json"


def _write(path: Path, name: str, measures: Measures) -> None:
    write_atomically(path, json.dumps({"row": name, **measures}, indent=1) + "\n")


def _trainer(config: TranslatorConfig, total_steps: int) -> TranslationTrainer:
    return TranslationTrainer(config, make_strategy("one_device"), num_classes=len(CLASSES), total_steps=total_steps)


def _way_back(trainer: TranslationTrainer) -> Callable[[np.ndarray], np.ndarray] | None:
    """Returns what translates images of the target class back, uint8 `[N, H, W, 3]`, if the method learns it."""
    if len(trainer.averages) == 1:
        return None

    def back(images: np.ndarray) -> np.ndarray:
        parts = np.array_split(images, max(1, len(images) // BATCH_SIZE))
        return np.concatenate([to_uint8(trainer.averages[1](to_signed_float(part), training=False)) for part in parts])

    return back


def _timed_steps(trainer: TranslationTrainer, batches: Iterator, first: int, count: int) -> float:
    """Takes some steps, and returns the seconds of the processor, over all its threads, that they took."""
    begun = time.process_time()
    take_steps(trainer, batches, first, count, steps_per_call=_STEPS_PER_CALL)
    return time.process_time() - begun


def _batches(config: TranslatorConfig, domains: Domains) -> tf.data.Dataset:
    """Returns batches without end for `TranslationTrainer`, each image mirrored or not."""
    names = ("image", "mask") if outlined_by(config) else ("image",)
    if translator_of(config).is_paired:
        names = ("image", "mask", "label")
        return mirrored_examples(joined(domains.sources, domains.targets), names, config.seed).batch(
            config.global_batch_size
        )

    def named(source: Mapping[str, tf.Tensor], target: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        sides = {"source": source, "target": target}
        return {f"{side}_{name}": own[name] for side, own in sides.items() for name in names}

    streams = [
        mirrored_examples(images, names, config.seed + part)
        for part, images in enumerate((domains.sources, domains.targets))
    ]
    return tf.data.Dataset.zip(*streams).map(named).batch(config.global_batch_size)


def _arguments() -> argparse.Namespace:
    design = Design()
    parser = argparse.ArgumentParser(description="Compares translators at equal processor time.")
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--shards", default=design.shards, help="with masks and two classes; none: phantom lesions")
    parser.add_argument("--num_folds", type=int, default=design.num_folds)
    parser.add_argument("--fold", type=int, default=design.fold, help="that is held out")
    parser.add_argument("--minutes", type=float, default=design.minutes, help="of training, of one processor, each run")
    parser.add_argument("--methods", default="cyclegan,auggan,cut,fastcut,pix2pix", help="cut, or cut+residual")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--image_size", type=int, default=design.image_size)
    parser.add_argument("--width", type=float, default=design.width)
    parser.add_argument("--batch_size", type=int, default=design.batch_size)
    return parser.parse_args()


def main() -> None:
    """Compares, and prints the table."""
    arguments = vars(_arguments())
    output, seeds = arguments.pop("output"), [int(seed) for seed in arguments.pop("seeds").split(",")]
    compared = variants(arguments.pop("methods"))
    print(table(run(output, Design(**arguments), compared, seeds)))


if __name__ == "__main__":
    main()
