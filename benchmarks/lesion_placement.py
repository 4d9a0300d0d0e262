"""Do lesions lie where they were asked for? The boxes of shards against the lesions found in their images.

    python -m benchmarks.lesion_placement --shards=SYNTHETIC,SHARDS

A lesion is looked for in every image as by `--boxes=auto` of make_shards, and compared with the image's largest box: of
synthetic shards that which the generator was given, of real ones where the lesion is (boxes of `--boxes=auto` are what
is looked for, and tell nothing). It is compared with the box of the next image, too: so well keeps a generator to its
boxes that does not see them, but knows where lesions lie.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import argparse
from dataclasses import dataclass

import numpy as np

from pipelines.artefacts.shards import open_shards
from tfrecords_tools.lesion_box import find_lesion
from tfrecords_tools.reading import evaluation_batches


@dataclass(frozen=True)
class Placement:
    """How well the lesions of `images` keep to their boxes; a lesion stands out in the fraction `found` of them.

    Overlaps are mean intersections over unions with the box of the image, and of the next one. Correlations, over the
    images, are those of the centre from left to right, from top to bottom, and of the side of a square of equal area;
    NaN where all lesions or all boxes are equal.
    """

    images: int
    found: float
    overlap: float
    overlap_of_next: float
    correlations: tuple[float, float, float]


def measure_placement(images: np.ndarray, boxes: np.ndarray) -> Placement:
    """Returns how well lesions keep to their boxes.

    Arguments:
      images: uint8 `[N, H, W, 3]`.
      boxes: `[N, 4]`, x_min, y_min, x_max, y_max as fractions of the sides.

    Raises:
      ValueError: if lesions stand out in less than three images.
    """
    lesions = [find_lesion(image) for image in images]
    found = np.array([lesion is not None for lesion in lesions])
    if found.sum() < 3:
        raise ValueError(f"{found.sum()} lesions were found in {len(images)} images; three are needed to compare them")
    lesions, boxes = np.array([lesion for lesion in lesions if lesion is not None]), boxes[found]
    x, y, side = (_correlation(*pair) for pair in zip(_place(lesions), _place(boxes), strict=True))
    own, following = overlaps(lesions, boxes), overlaps(lesions, np.roll(boxes, -1, axis=0))
    return Placement(len(images), found.mean(), own.mean(), following.mean(), (x, y, side))


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the intersection over union `[N]` of each box `[N, 4]` with the other of its row."""
    sides = np.minimum(boxes[:, 2:], others[:, 2:]) - np.maximum(boxes[:, :2], others[:, :2])
    common = np.prod(np.maximum(sides, 0), axis=1)
    return common / (_areas(boxes) + _areas(others) - common)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one, other)[0, 1]) if one.std() and other.std() else float("nan")


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)


def _place(boxes: np.ndarray) -> tuple[np.ndarray, ...]:
    return (*(boxes[:, :2] + boxes[:, 2:]).T / 2, np.sqrt(_areas(boxes)))


def read_boxed_images(path: str, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first images with a box `[N, H, W, 3]`, of training or synthetic shards, and the boxes `[N, 4]`.

    Raises:
      ValueError: if no image has a box.
    """
    shards = open_shards(path, "shards")
    labelled = shards.read(tuple(shard for shard in shards.manifest.shards if shard.split != "test"))
    batches = evaluation_batches(labelled, image_size=shards.manifest.image_size, batch_size=64, max_boxes=1)
    images, boxes = [], []
    for batch in batches:
        boxed = batch["boxes"].numpy()[:, 0].any(axis=1)
        images.extend(batch["image"].numpy()[boxed])
        boxes.extend(batch["boxes"].numpy()[boxed, 0])
        if len(images) >= most:
            break
    if not images:
        raise ValueError(f"{path} has no boxes; make its shards with --boxes, or draw it by a generator that has them")
    return np.array(images[:most]), np.array(boxes[:most])


def row(name: str, placement: Placement) -> str:
    """Returns a row of the table."""
    values = (placement.found, placement.overlap, placement.overlap_of_next, *placement.correlations)
    return f"| {name} | {placement.images} | {' | '.join(f'{value:.2f}' for value in values)} |"


def main() -> None:
    """Prints a table with a row for each folder of shards."""
    parser = argparse.ArgumentParser(description="Compares boxes of shards with the lesions in their images.")
    parser.add_argument("--shards", required=True, help="folders with boxes, separated by commas")
    parser.add_argument("--most", type=int, default=1000, help="images read of each")
    arguments = parser.parse_args()
    print("| shards | images | lesion found | overlap | with the next box | x | y | size |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for path in arguments.shards.split(","):
        print(row(path, measure_placement(*read_boxed_images(path, arguments.most))))


if __name__ == "__main__":
    main()
