"""The benchmark of where lesions lie: overlaps by hand, and shards whose boxes are true."""

import numpy as np
import pytest

from benchmarks.lesion_placement import measure_placement, overlaps, read_boxed_images, row
from tests.pipelines.conftest import PHANTOM, succeed
from tfrecords_tools.lesion_box import MARGIN

SKIN, PIGMENT = (214, 170, 148), (96, 58, 40)
# Squares of 16 of 64 pixels, of which none overlaps with the next.
CORNERS = np.array([(12, 12), (34, 14), (14, 36), (36, 34)])


def lesions(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns images of dark squares at these left and upper edges, and their boxes."""
    images = np.full((len(corners), 64, 64, 3), SKIN, np.uint8)
    for image, (left, top) in zip(images, corners, strict=True):
        image[top : top + 16, left : left + 16] = PIGMENT
    return images, np.concatenate([corners, corners + 16], axis=1) / 64


def test_overlap_is_the_intersection_over_the_union():
    boxes = np.array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5], [0, 0, 1, 1]])
    others = np.array([[0, 0, 0.5, 0.5], [0.25, 0, 0.75, 0.5], [0.5, 0.5, 1, 1], [0.25, 0.25, 0.75, 0.75]])
    np.testing.assert_allclose(overlaps(boxes, others), [1, 1 / 3, 0, 0.25])


def test_lesions_in_their_boxes_overlap_with_those_and_not_with_the_next():
    placement = measure_placement(*lesions(CORNERS))
    assert placement.found == 1
    assert placement.overlap == pytest.approx(1 / (1 + 2 * MARGIN) ** 2, abs=0.12)
    assert placement.overlap_of_next == pytest.approx(0, abs=0.02)
    np.testing.assert_allclose(placement.correlations, (1, 1, np.nan), atol=0.01)


def test_lesions_in_the_boxes_of_others_are_told():
    images, boxes = lesions(CORNERS)
    placement = measure_placement(images, np.roll(boxes, 1, axis=0))
    assert placement.overlap == pytest.approx(0, abs=0.02)
    assert placement.overlap_of_next > 0.7


def test_images_without_a_lesion_count_as_not_found():
    images, boxes = lesions(np.concatenate([CORNERS, CORNERS]))
    images[4:] = SKIN
    placement = measure_placement(images, boxes)
    assert (placement.images, placement.found) == (8, 0.5)
    assert placement.overlap > 0.7
    with pytest.raises(ValueError, match="0 lesions .* 4 images"):
        measure_placement(images[4:], boxes[4:])


def test_true_boxes_of_shards_hold_their_lesions(tmp_path, launch):
    images = tmp_path / "images"
    succeed(launch("make_shards", input=images, output=tmp_path / "plain", **PHANTOM))
    with pytest.raises(ValueError, match="plain .*--boxes"):
        read_boxed_images(str(tmp_path / "plain"), most=60)
    settings = {**PHANTOM, "input": images, "boxes": images / "boxes.csv"}
    succeed(launch("make_shards", output=tmp_path / "shards", **settings))
    images, boxes = read_boxed_images(str(tmp_path / "shards"), most=60)
    assert images.shape == (60, 32, 32, 3)
    placement = measure_placement(images, boxes)
    assert placement.found > 0.9
    assert placement.overlap > 0.7
    assert min(placement.correlations) > 0.8
    assert row("shards", placement).startswith("| shards | 60 | ")
