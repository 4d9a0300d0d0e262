"""Do images drawn from masks help to find lesions, and can they stand in for patients? The table of Shin et al. 2018.

    python -m benchmarks.mask_synthesis --output=FOLDER --pairs=30 --gan_steps=6000

On phantom lesions, whose masks are true. For every seed, pix2pix learns from a few real pairs, and draws pairs from
their masks, edited and on the skins of others. A small segmenter is trained by equally many steps on real pairs, on
both, on synthetic ones alone, and on these and then on a tenth of the real ones, each with and without the usual
augmentation; and measured by its overlap (Dice) with the masks of further real images, the same for all seeds. The last
two rows are those by which Shin et al. argue that patients need not be shown. Seeds that are done are not done again.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.designs import require_same_design
from benchmarks.markdown import markdown_table
from benchmarks.phantoms import draw_phantoms
from benchmarks.segmenter import Pairs, Segmenter
from benchmarks.translator_training import mirrored_examples, take_steps
from melgan.metrics.extractors import pixel_vectors
from melgan.metrics.intervals import Interval, jackknife_interval
from melgan.metrics.memorisation import nearest_training_image, pixel_views, threshold
from melgan.metrics.translation import dice, source_distances, source_ranks
from melgan.sampling import Requests, SampledImages, Sampler
from melgan.sources import Sources
from melgan.training.distribution import make_strategy
from melgan.translation.config import TranslatorConfig
from melgan.translation.mask_edits import EDITS, TRANSPLANT
from melgan.translation.mask_sampler import MaskSampler
from melgan.translation.trainer import TranslationTrainer
from melgan.translation.translators import resolve
from tfrecords_tools.foundation.files import write_atomically

CLASSES = ("benign", "malignant")
ROWS = ("real", "real + synthetic", "synthetic", "synthetic, then 10 % real")
_SETTINGS_FILE = "mask_synthesis.json"
_TEST_SEED, _JUDGE_SEED, _FIRST_SEED = 0, 1, 2  # of what is drawn: for all seeds, and for each
_FINE_TUNING = 0.25  # of the steps, those on a tenth of the real pairs


@dataclass(frozen=True)
class Design:
    """How much is drawn and trained. `width` is that of pix2pix and of the segmenters."""

    pairs: int = 30
    synthetic: int = 300
    tested: int = 200
    image_size: int = 64
    width: float = 0.25
    gan_steps: int = 6000
    batch_size: int = 4
    segmenter_steps: int = 600
    edits: tuple[str, ...] = (*EDITS, TRANSPLANT)


@dataclass(frozen=True)
class Scores:
    """What a seed gave.

    Attributes:
      overlaps: mean Dice on the tested images by row, without and with usual augmentation.
      asked, edited, other: mean Dice of the masks that a segmenter of many real pairs finds in drawn images: with those
        that they were drawn from, these as they are in real images or edited; and with those of the next image.
      rank: mean rank of the donor of the mask among all real images, by pixels; 0: it is the nearest, 0.5: not linked.
      near: fraction of images nearer to their donor, in pixels of any view, than one in twenty real images that pix2pix
        has not seen lies to any that it has.
      copies: the same to any real image, whoever the donor; 0.05 where images lie as unseen real ones do.
    """

    overlaps: dict[str, tuple[float, float]]
    asked: float
    edited: float
    other: float
    rank: float
    near: float
    copies: float


def train_pix2pix(real: Sources, design: Design, seed: int) -> MaskSampler:
    """Returns a sampler with the averaged generator of a pix2pix that was trained on real pairs."""
    config = resolve(
        TranslatorConfig(
            method="pix2pix",
            image_size=design.image_size,
            width=design.width,
            global_batch_size=design.batch_size,
            seed=seed,
        )
    )
    strategy = make_strategy("one_device")
    trainer = TranslationTrainer(config, strategy, num_classes=len(CLASSES), total_steps=design.gan_steps)
    batches = mirrored_examples(real, ("image", "mask", "label"), seed).batch(design.batch_size)
    take_steps(trainer, iter(batches), 0, design.gan_steps)
    return MaskSampler(trainer.average_generator, real, CLASSES, seed=seed, edits=design.edits)


def measure_rows(
    segmenter: Segmenter, real: Pairs, synthetic: Pairs, tested: Pairs, *, steps: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Returns the mean Dice by row of Shin's table, without and with usual augmentation.

    Arguments:
      segmenter: is started anew for each.
      real, synthetic: what it is trained on; of real ones a tenth is the first tenth.
      tested: what it is measured on.
      steps: of every training.
      seed: of every training.
    """
    as_many = real.take(np.arange(max(len(real), len(synthetic))) % len(real))  # so that half of a batch is real
    tenth = real.take(np.arange(max(1, len(real) // 10)))
    fine_tuning = round(_FINE_TUNING * steps)
    courses = {
        "real": [(real, steps)],
        "real + synthetic": [(as_many + synthetic, steps)],
        "synthetic": [(synthetic, steps)],
        "synthetic, then 10 % real": [(synthetic, steps - fine_tuning), (tenth, fine_tuning)],
    }
    return {
        name: tuple(_overlap(segmenter, course, tested, seed, augmented) for augmented in (False, True))
        for name, course in courses.items()
    }


def measure(design: Design, seed: int, tested: Sources, judge: Segmenter) -> Scores:
    """Returns what a seed gives.

    Arguments:
      design: sizes.
      seed: of real pairs, pix2pix, synthetic pairs and segmenters.
      tested: further real images.
      judge: a segmenter of many other real pairs.
    """
    real = draw_phantoms(design.pairs, design.image_size, _FIRST_SEED + seed)
    sampler = train_pix2pix(real, design, seed)
    drawn = draw(sampler, design.synthetic)
    asked = drawn_as_they_are(sampler, real)
    found = judge.find(asked.images)
    near, copies, rank = links(drawn, real, tested)
    return Scores(
        overlaps=measure_rows(
            Segmenter(design.image_size, design.width),
            Pairs(real.images, real.masks),
            Pairs(drawn.images, drawn.masks),
            Pairs(tested.images, tested.masks),
            steps=design.segmenter_steps,
            seed=seed,
        ),
        asked=float(dice(found, asked.masks).mean()),
        edited=float(judge.overlaps(Pairs(drawn.images, drawn.masks)).mean()),
        other=float(dice(found, np.roll(asked.masks, 1, axis=0)).mean()),
        rank=rank,
        near=near,
        copies=copies,
    )


def links(drawn: SampledImages, real: Sources, unseen: Sources) -> tuple[float, float, float]:
    """Returns how drawn images are linked to real ones: `near`, `copies` and `rank` of `Scores`.

    Arguments:
      drawn: images, made from the real ones.
      real: that a generator has seen.
      unseen: other real images.
    """
    views, vectors = pixel_views(drawn.images), pixel_vectors(real.images)
    donors = np.array([list(real.names).index(names[0]) for names in drawn.made_from])
    limit = threshold(nearest_training_image(pixel_views(unseen.images), vectors).distances)
    return (
        float((source_distances(views, vectors[donors]) < limit).mean()),
        float((nearest_training_image(views, vectors).distances < limit).mean()),
        float(source_ranks(views, vectors, donors).mean()),
    )


def draw(sampler: Sampler, count: int) -> SampledImages:
    """Returns so many images, benign and malignant in turns."""
    return sampler.draw(Requests(index=np.arange(count), label=np.arange(count, dtype=np.int32) % 2))


def drawn_as_they_are(sampler: Sampler, real: Sources) -> SampledImages:
    """Returns an image of each real mask, of its own class."""
    return sampler.draw(Requests(index=np.arange(len(real)), label=real.labels, mask=real.masks))


def table(scores: Sequence[Scores]) -> str:
    """Returns Shin's table in Markdown: mean Dice, and paired differences from real pairs alone, over the seeds."""
    rows = []
    overlaps = {name: np.array([each.overlaps[name] for each in scores]) for name in ROWS}
    for name in ROWS:
        cells = []
        for augmented in (0, 1):
            own, real = overlaps[name][:, augmented], overlaps[ROWS[0]][:, augmented]
            cells += [f"{own.mean():.3f}", "" if name == ROWS[0] else _cell(mean_interval(own - real))]
        rows.append([name, *cells])
    return markdown_table(["trained on", "Dice", "less real", "Dice, augmented", "less real, augmented"], rows)


def fidelity(scores: Sequence[Scores]) -> str:
    """Returns in Markdown how well drawn images keep to their masks, and whether they are linked to patients."""
    rows = {
        "Dice of asked and found mask": [each.asked for each in scores],
        "the same of edited masks": [each.edited for each in scores],
        "Dice with the mask of another image": [each.other for each in scores],
        "rank of the donor (0: nearest, 0.5: not linked)": [each.rank for each in scores],
        "near to the donor": [each.near for each in scores],
        "near to any real image (5 % of unseen real ones are)": [each.copies for each in scores],
    }
    cells = [(name, _cell(mean_interval(np.array(values)))) for name, values in rows.items()]
    return markdown_table(["of drawn images", "mean over seeds"], cells)


def mean_interval(values: np.ndarray) -> Interval:
    """Returns the mean of the values of some seeds with its 95 % interval, from Student's t."""
    left_out = (values.sum() - values) / max(len(values) - 1, 1)
    return jackknife_interval(float(values.mean()), left_out)


def run(output: Path, design: Design, seeds: Sequence[int]) -> list[Scores]:
    """Measures the seeds that are not in a folder yet; returns the scores of all of these.

    Raises:
      CommandError: if the folder holds seeds of another design.
    """
    require_same_design(output / _SETTINGS_FILE, asdict(design))
    missing = [seed for seed in seeds if not _file_of(output, seed).is_file()]
    if missing:
        tested = draw_phantoms(design.tested, design.image_size, _TEST_SEED)
        judge = _judge(design)
    for seed in missing:
        scores = measure(design, seed, tested, judge)
        write_atomically(_file_of(output, seed), json.dumps(asdict(scores), indent=1) + "\n")
    return [_read(_file_of(output, seed)) for seed in seeds]


def _file_of(output: Path, seed: int) -> Path:
    return output / f"seed_{seed}.json"


def _read(path: Path) -> Scores:
    values: Mapping = json.loads(path.read_text())
    return Scores(**values | {"overlaps": {name: tuple(pair) for name, pair in values["overlaps"].items()}})


def _judge(design: Design) -> Segmenter:
    """Returns a segmenter of as many real pairs as are tested, with the usual augmentation."""
    real = draw_phantoms(design.tested, design.image_size, _JUDGE_SEED)
    judge = Segmenter(design.image_size, design.width)
    judge.start(_JUDGE_SEED)
    judge.train(Pairs(real.images, real.masks), steps=design.segmenter_steps, seed=_JUDGE_SEED, augmented=True)
    return judge


def _overlap(
    segmenter: Segmenter, course: Sequence[tuple[Pairs, int]], tested: Pairs, seed: int, augmented: bool
) -> float:
    """Returns the mean Dice of a segmenter that is trained on pairs for some steps, then on others."""
    segmenter.start(seed)
    for part, (pairs, steps) in enumerate(course):
        segmenter.train(pairs, steps=steps, seed=2 * seed + part, augmented=augmented)
    return float(segmenter.overlaps(tested).mean())


def _cell(interval: Interval) -> str:
    reach = "" if np.isnan(interval.low) else f" ({interval.low:.3f} to {interval.high:.3f})"
    return f"{interval.value:.3f}{reach}"


def _arguments() -> argparse.Namespace:
    design = Design()
    parser = argparse.ArgumentParser(description="Shin's table on phantom lesions.")
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--pairs", type=int, default=design.pairs, help="real ones, that pix2pix learns from")
    parser.add_argument("--synthetic", type=int, default=design.synthetic, help="pairs that are drawn")
    parser.add_argument("--tested", type=int, default=design.tested, help="further real pairs")
    parser.add_argument("--image_size", type=int, default=design.image_size)
    parser.add_argument("--width", type=float, default=design.width)
    parser.add_argument("--gan_steps", type=int, default=design.gan_steps)
    parser.add_argument("--batch_size", type=int, default=design.batch_size, help="of pix2pix")
    parser.add_argument("--segmenter_steps", type=int, default=design.segmenter_steps)
    parser.add_argument("--edits", default=",".join(design.edits), help="of masks; give '' for none")
    return parser.parse_args()


def main() -> None:
    """Measures and prints the tables."""
    arguments = vars(_arguments())
    output, seeds = arguments.pop("output"), arguments.pop("seeds")
    arguments["edits"] = tuple(name for name in arguments["edits"].split(",") if name)
    scores = run(output, Design(**arguments), [int(seed) for seed in seeds.split(",")])
    print(f"{table(scores)}\n\n{fidelity(scores)}")


if __name__ == "__main__":
    main()
