"""The embedded data set: drawn dermoscopy-like lesions in the SIIM-ISIC layout, to show and test the pipeline.

About one lesion in twenty is malignant. Malignant lesions differ in what dermatologists call the ABCD rule (Nachbar
et al. 1994): asymmetry, border, colour variegation and diameter. Every trait overlaps between the classes, so no
classifier is perfect. Hair, vignettes and skin tones are drawn independently of the class. Nothing that is
measured on these images says anything about patients.
"""

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, is_remote
from tfrecords_tools.foundation.metadata import CATEGORIES
from tfrecords_tools.images import JPEG_QUALITY, encode_jpeg
from tfrecords_tools.masks import encode_mask
from tfrecords_tools.sources import box_table, siim_isic
from tfrecords_tools.sources.table import SourceOptions, SourceTable

IMAGE_SIZE = 128
MALIGNANT_SHARE = 0.05
TEST_SHARE = 0.25
# By how many standard deviations each trait's mean is larger in malignant lesions.
TRAIT_SHIFT = 1.15

BOXES_FILE = "boxes.csv"  # the true boxes of the lesions, for --boxes
MASKS_FOLDER = "masks"  # their true masks, for --masks
_DRAWN_FILE = "drawn.json"

_SKIN_TONES = np.array([[238, 207, 190], [224, 182, 156], [198, 146, 112], [150, 104, 78]], dtype=float)
_PIGMENTS = np.array([[150, 98, 66], [110, 66, 44], [168, 92, 78]], dtype=float)
_VARIEGATION = np.array([[38, 26, 24], [96, 104, 122], [176, 70, 66], [214, 190, 176]], dtype=float)
_HAIR = (52, 36, 28)
_SITES = tuple(CATEGORIES["anatom_site_general_challenge"].codes)


@dataclass(frozen=True)
class Traits:
    """The ABCD traits of one lesion, in standard deviations from the benign mean."""

    asymmetry: float
    border: float
    colour: float
    diameter: float


def load(folder: AnyPath, options: SourceOptions) -> SourceTable:
    """Draws the data set into the folder, unless it lies there already, and reads it as SIIM-ISIC.

    Raises:
      DataError: if the folder holds anything else, or images drawn with another number or seed, or is in a bucket.
    """
    if is_remote(folder):
        raise DataError(f"{folder}: phantom draws on this machine only; choose a local --input")
    drawn = folder / _DRAWN_FILE
    wanted = asdict(options)
    if not drawn.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise DataError(f"{folder}: not empty, and nothing that phantom drew; choose an empty or new --input")
        write_data_set(folder, options)
    elif (found := json.loads(drawn.read_text())) != wanted:
        raise DataError(f"{folder}: drawn with {found}, but {wanted} is wanted; choose another --input")
    masks = folder / MASKS_FOLDER
    return replace(siim_isic.load(folder, options), masks=masks if masks.is_dir() else None)


def write_data_set(folder: Path, options: SourceOptions) -> None:
    """Writes tables, images, boxes and masks; the folder appears under its name only when it is whole.

    Arguments:
      folder: where to; must not exist, or be empty.
      options: images of both splits together, a quarter of them in the test split, whose targets are kept back; and
        the seed: equal seeds draw equal bytes.
    """
    seed = options.seed
    unfinished = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    rows, boxes = _draw_patients(options.num_images, np.random.default_rng([seed, 0])), []
    (unfinished / MASKS_FOLDER).mkdir(parents=True)
    for split, table in _split_patients(rows, seed):
        images_folder = unfinished / "jpeg" / split
        images_folder.mkdir(parents=True)
        for row in table.itertuples():
            image, mask = draw_lesion_and_mask(row.traits, row.tone, np.random.default_rng([seed, 1, row.number]))
            (images_folder / f"{row.image_name}.jpg").write_bytes(encode_jpeg(image, quality=JPEG_QUALITY))
            (unfinished / MASKS_FOLDER / f"{row.image_name}_Segmentation.png").write_bytes(encode_mask(is_lesion(mask)))
            boxes.append((row.image_name, *box_of(mask)))
        _write_tables(unfinished, split, table)
    pd.DataFrame(boxes, columns=box_table.COLUMNS).to_csv(unfinished / BOXES_FILE, index=False)
    (unfinished / _DRAWN_FILE).write_text(json.dumps(asdict(options)))
    if folder.is_dir():
        folder.rmdir()
    unfinished.rename(folder)


def draw_lesion(traits: Traits, tone: float, rng: np.random.Generator) -> np.ndarray:
    """Returns a uint8 image `[128, 128, 3]` of a lesion on skin.

    Arguments:
      traits: what the lesion looks like.
      tone: skin tone in [0, 1], fair to dark.
      rng: decides everything else.
    """
    return draw_lesion_and_mask(traits, tone, rng)[0]


def draw_lesion_and_mask(traits: Traits, tone: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns the image of `draw_lesion`, and how much of each pixel is lesion `[128, 128]` in [0, 1]."""
    rows, columns = np.mgrid[0:IMAGE_SIZE, 0:IMAGE_SIZE] / (IMAGE_SIZE / 2) - 1.0
    skin = (
        _interpolate(_SKIN_TONES, tone) + 9 * _smooth_noise(rng, 5)[..., None] + 4 * _smooth_noise(rng, 40)[..., None]
    )
    mask = _lesion_mask(traits, rows, columns, rng)[..., None]
    image = skin * (1 - mask) + _lesion_colour(traits, tone, rng) * mask
    image += rng.normal(0, 2.0, image.shape)
    if rng.random() < 0.35:
        image = _add_hair(image, rng)
    if rng.random() < 0.3:
        image *= _vignette(rows, columns, rng)[..., None]
    return np.clip(image * rng.uniform(0.9, 1.06), 0, 255).astype(np.uint8), mask[..., 0]


@dataclass(frozen=True)
class Counterfactuals:
    """One lesion drawn twice, as benign and as malignant, on the same skin with the same hair, light and corners.

    Images are uint8 `[128, 128, 3]`, masks bool `[128, 128]`.
    """

    benign: np.ndarray
    benign_mask: np.ndarray
    malignant: np.ndarray
    malignant_mask: np.ndarray


def draw_counterfactuals(seed: int, number: int) -> Counterfactuals:
    """Returns a pair; what differs are the means of the traits of the two classes, and nothing else.

    Arguments:
      seed: of a set of pairs.
      number: of the pair in it.
    """
    rng = np.random.default_rng([seed, 3, number])
    benign, tone = rng.normal(size=4), _draw_tone(rng)
    drawn = [
        draw_lesion_and_mask(Traits(*(benign + shift)), tone, np.random.default_rng([seed, 4, number]))
        for shift in (0.0, TRAIT_SHIFT)
    ]
    (benign_image, benign_mask), (malignant_image, malignant_mask) = drawn
    return Counterfactuals(benign_image, is_lesion(benign_mask), malignant_image, is_lesion(malignant_mask))


def is_lesion(mask: np.ndarray) -> np.ndarray:
    """Returns which pixels of a mask of shares are at least half lesion, bool `[128, 128]`."""
    return mask >= 0.5


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Returns the box of the pixels that are at least half lesion, x_min, y_min, x_max, y_max in pixels."""
    rows, columns = (np.flatnonzero(is_lesion(mask).any(axis=axis)) for axis in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _draw_patients(num_images: int, rng: np.random.Generator) -> pd.DataFrame:
    """Returns one row an image: patients with 1 to 8 images each, their metadata and the traits of the lesion."""
    malignant = np.zeros(num_images, dtype=bool)
    malignant[: max(round(num_images * MALIGNANT_SHARE), 2)] = True
    rng.shuffle(malignant)
    rows = []
    while len(rows) < num_images:
        patient = {
            "patient_id": f"IP_{len(rows):07d}",
            "sex": rng.choice(["male", "female"]),
            "tone": _draw_tone(rng),
        }
        age = rng.normal(50, 14)
        for _ in range(min(int(rng.integers(1, 9)), num_images - len(rows))):
            rows.append(patient | _draw_row(len(rows), bool(malignant[len(rows)]), age, rng))
    table = pd.DataFrame(rows)
    for column, missing in (("sex", 0.03), ("age_approx", 0.04), ("anatom_site_general_challenge", 0.06)):
        table[column] = table[column].mask(rng.random(num_images) < missing)
    return table


def _draw_tone(rng: np.random.Generator) -> float:
    return float(np.clip(rng.beta(1.5, 2.5), 0, 1))


def _draw_row(number: int, malignant: bool, age: float, rng: np.random.Generator) -> dict:
    traits = rng.normal(TRAIT_SHIFT if malignant else 0.0, 1.0, size=4)
    return {
        "number": number,
        "image_name": f"PHANTOM_{number:07d}",
        "age_approx": float(np.clip(5 * round((age + 6 * malignant) / 5), 15, 90)),
        "anatom_site_general_challenge": rng.choice(_SITES, p=[0.1, 0.17, 0.25, 0.44, 0.02, 0.02]),
        "diagnosis": "melanoma" if malignant else rng.choice(["unknown", "nevus"], p=[0.8, 0.2]),
        "benign_malignant": siim_isic.CLASSES[malignant],
        "target": int(malignant),
        "traits": Traits(*traits),
    }


def _split_patients(rows: pd.DataFrame, seed: int) -> list[tuple[str, pd.DataFrame]]:
    """Splits whole patients, those with a malignant lesion apart, so that both splits hold the rare class."""
    rng = np.random.default_rng([seed, 2])
    by_patient = rows.groupby("patient_id")["target"].max()
    test = []
    for _, patients in by_patient.groupby(by_patient):
        test += list(rng.permutation(patients.index)[: max(round(len(patients) * TEST_SHARE), 1)])
    in_test = rows["patient_id"].isin(test)
    return [("train", rows[~in_test]), ("test", rows[in_test])]


def _write_tables(folder: Path, split: str, table: pd.DataFrame) -> None:
    columns = ["image_name", "patient_id", "sex", "age_approx", "anatom_site_general_challenge"]
    if split == "train":
        columns += ["diagnosis", "benign_malignant", "target"]
    else:
        table[["image_name"]].assign(target=0).to_csv(folder / "sample_submission.csv", index=False)
    table[columns].to_csv(folder / f"{split}.csv", index=False)


def _lesion_mask(traits: Traits, rows: np.ndarray, columns: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns how much of each pixel is lesion `[H, W]` in [0, 1]."""
    centre = rng.uniform(-0.12, 0.12, size=2)
    rows, columns = rows - centre[0], columns - centre[1]
    angle, distance = np.arctan2(rows, columns), np.hypot(rows, columns)
    phases = rng.uniform(0, 2 * np.pi, size=12)
    asymmetry, border = 0.09 * _positive(traits.asymmetry), 0.022 * _positive(traits.border)
    outline = 1 + asymmetry * (np.cos(angle - phases[0]) + 0.6 * np.cos(2 * angle - phases[1]))
    for harmonic in range(4, 12):
        outline = outline + border * rng.uniform(0.2, 1.4) * np.cos(harmonic * angle - phases[harmonic])
    radius = 0.40 * np.exp(0.17 * traits.diameter)
    softness = 0.05 / (1 + 0.5 * _positive(traits.border))
    return 1 / (1 + np.exp(-np.clip((radius * outline - distance) / softness, -40, 40)))


def _lesion_colour(traits: Traits, tone: float, rng: np.random.Generator) -> np.ndarray:
    """Returns the pigment of each pixel `[H, W, 3]`: one brown, with patches of other colours as the trait grows."""
    pigment = _interpolate(_PIGMENTS, rng.random()) * (1 - 0.35 * tone)
    colour = pigment + 14 * _smooth_noise(rng, 12)[..., None] + 7 * _smooth_noise(rng, 32)[..., None]
    for patch in _VARIEGATION[rng.permutation(len(_VARIEGATION))[:3]]:
        strength = np.clip(0.28 * _positive(traits.colour) * (_smooth_noise(rng, 5) - 0.2), 0, 0.85)[..., None]
        colour = colour * (1 - strength) + patch * strength
    return colour


def _add_hair(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    canvas = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(2, 8))):
        start, middle, end = rng.uniform(-10, IMAGE_SIZE + 10, size=(3, 2))
        t = np.linspace(0, 1, 24)[:, None]
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
        draw.line([tuple(point) for point in curve], fill=_HAIR, width=1 + int(rng.random() < 0.25))
    return np.asarray(canvas, dtype=float)


def _vignette(rows: np.ndarray, columns: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns brightness factors `[H, W]`: the dark corners of a dermatoscope's round view."""
    return 1 / (1 + np.exp((np.hypot(rows, columns) - rng.uniform(1.0, 1.25)) / 0.03))


def _smooth_noise(rng: np.random.Generator, cells: int) -> np.ndarray:
    """Returns standard normal noise `[H, W]` that varies over `cells` cells a side."""
    coarse = Image.fromarray(rng.normal(size=(cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC), dtype=float)


def _interpolate(colours: np.ndarray, position: float) -> np.ndarray:
    steps = np.linspace(0, 1, len(colours))
    return np.array([np.interp(position, steps, channel) for channel in colours.T])


def _positive(trait: float) -> float:
    """Returns a smooth, positive strength of a trait: about 0.7 at the benign mean, growing linearly above it."""
    return float(np.log1p(np.exp(trait)))
