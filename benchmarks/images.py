"""Converting images: CPU time against OpenCV and against decoding alone, and how near the pixels come."""

import io
import math
from functools import partial

import cv2
import numpy as np
from PIL import Image

from benchmarks.measuring import (
    Measurement,
    cpu_seconds,
    per_second,
    print_measurements,
    stay_on_one_core,
    times_faster,
)
from benchmarks.photos import camera_jpeg, draw_photo
from tfrecords_tools.images import Encoding, encode_jpeg, to_jpeg

QUALITY = 95  # OpenCV's default, and ours

_IN_A_ROW = 4


def measure(
    *, large: tuple[int, int] = (6000, 4000), large_rounds: int = 7, small: int = 1024, small_rounds: int = 25
) -> list[Measurement]:
    """Returns how fast a large photograph is converted, a small square one, and one that has the right size already.

    Arguments:
      large: width and height of the photograph that becomes 512 pixels a side, or as much smaller as it is.
      small: side of the photograph that becomes a quarter of it.
      large_rounds, small_rounds: how often each is converted, several times in a row.
    """
    cv2.setNumThreads(0)
    large_data = camera_jpeg(draw_photo(*large, seed=0))
    small_data = camera_jpeg(draw_photo(small, small, seed=1))
    large_name = f"{large[0]}x{large[1]} ({len(large_data) / 1e6:.1f} MB) -> "
    return [
        *_conversion(large_name, large_data, 512 * large[1] // 4000, large_rounds, at_least=(3.5, 0.70)),
        *_conversion(f"{small}x{small} -> ", small_data, small // 4, small_rounds, at_least=(1.8, None)),
        _copy(draw_photo(small // 2, small // 2, seed=2), small_rounds),
    ]


def _conversion(
    name: str, data: bytes, image_size: int, rounds: int, at_least: tuple[float, float | None]
) -> list[Measurement]:
    encoded = np.frombuffer(data, np.uint8)
    rivals = {
        "OpenCV imdecode, resize INTER_AREA, imencode": (partial(_opencv, encoded, image_size), at_least[0]),
        "the same of the square in its middle, as ours": (partial(_opencv, encoded, image_size, crop=True), None),
        "the same with INTER_LINEAR, which aliases": (partial(_opencv, encoded, image_size, cv2.INTER_LINEAR), None),
        "limit: decoding alone at 1/8, Pillow": (partial(_decode_eighth, data), at_least[1]),
        "limit: decoding alone at 1/8, OpenCV": (partial(cv2.imdecode, encoded, cv2.IMREAD_REDUCED_COLOR_8), None),
    }
    ours = partial(to_jpeg, data, Encoding(image_size=image_size, quality=QUALITY))
    seconds = cpu_seconds(
        {"ours": ours, **{rival: work for rival, (work, _) in rivals.items()}}, rounds, in_a_row=_IN_A_ROW
    )
    measurements = [
        Measurement(
            what=f"{name}{image_size}",
            ours=per_second(_IN_A_ROW, seconds["ours"]),
            rival=f"{rival}: {per_second(_IN_A_ROW, seconds[rival])}",
            value=times_faster(seconds["ours"], seconds[rival]),
            at_least=target,
        )
        for rival, (_, target) in rivals.items()
    ]
    return [*measurements, _fidelity(f"{name}{image_size}, the pixels", data, image_size)]


def _fidelity(what: str, data: bytes, image_size: int) -> Measurement:
    """Returns how near the pixels are to those of a full decode, the encoder's loss (here at quality 100) aside."""
    stored = np.asarray(Image.open(io.BytesIO(to_jpeg(data, Encoding(image_size=image_size, quality=100)))), float)
    full = _centre(np.asarray(Image.open(io.BytesIO(data))))
    reference = cv2.resize(full, (image_size, image_size), interpolation=cv2.INTER_AREA)
    value = 10 * math.log10(255**2 / np.mean(np.square(stored - reference)))
    rival = "full decode, mean of each area"
    return Measurement(what=what, ours="decoded at reduced scale", rival=rival, value=value, unit="dB", at_least=45)


def _copy(photo: np.ndarray, rounds: int) -> Measurement:
    data, size = encode_jpeg(photo, QUALITY), len(photo)
    ours = partial(to_jpeg, data, Encoding(image_size=size, quality=QUALITY))
    if ours() != data:
        raise AssertionError(f"an image of {size} pixels was not copied")
    rival = partial(_opencv, np.frombuffer(data, np.uint8), size)
    seconds = cpu_seconds({"ours": ours, "rival": rival}, rounds, in_a_row=_IN_A_ROW)
    return Measurement(
        what=f"{size}x{size} -> {size}",
        ours=f"bytes are checked and copied: {per_second(_IN_A_ROW, seconds['ours'])}",
        rival=f"OpenCV imdecode, imencode: {per_second(_IN_A_ROW, seconds['rival'])}",
        value=times_faster(seconds["ours"], seconds["rival"]),
    )


def _opencv(encoded: np.ndarray, image_size: int, interpolation: int = cv2.INTER_AREA, crop: bool = False) -> bytes:
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    if crop:
        image = _centre(image)
    if image.shape[:2] != (image_size, image_size):
        image = cv2.resize(image, (image_size, image_size), interpolation=interpolation)
    return cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))[1].tobytes()


def _decode_eighth(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (image.width // 8, image.height // 8))
        image.load()


def _centre(image: np.ndarray) -> np.ndarray:
    """Returns the square in the middle."""
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return image[top : top + side, left : left + side]


if __name__ == "__main__":
    stay_on_one_core()
    print_measurements(measure())
