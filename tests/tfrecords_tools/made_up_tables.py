"""Made-up tables, with patients, lesions and metadata, and drawn images, that the tests of this package share."""

from pathlib import Path

import numpy as np
import pandas as pd

from tfrecords_tools.foundation.metadata import CATEGORIES
from tfrecords_tools.sources.merging import MergedTable
from tfrecords_tools.sources.phantom import Traits, draw_lesion
from tfrecords_tools.sources.table import COLUMNS

CLASSES = ("benign", "malignant")
_SITES = CATEGORIES["anatom_site_general_challenge"]
_WORDS = {
    "sex": [*CATEGORIES["sex"].codes, None],
    "anatom_site_general_challenge": [*_SITES.codes, *_SITES.aliases, "knee", None],
    "diagnosis": ["unknown", "nevus", "melanoma", "MEL", "NV", "SCC", "a wart", None],
}


def made_up_table(
    num_rows: int, num_patients: int, *, seed: int = 0, num_test: int = 0, roots: tuple[Path, ...] = (Path("images"),)
) -> MergedTable:
    """Returns a table whose first source has patients, and whose others have lesions of about two images."""
    rng = np.random.default_rng(seed)
    source = rng.integers(len(roots), size=num_rows)
    train = _images("train", num_rows, num_patients, rng).assign(
        target=(rng.random(num_rows) < 0.1).astype(int),
        source=source,
        crc32c=pd.Series([None] * num_rows, dtype=object),
        lesion_id=pd.Series([f"L{number}" for number in rng.integers(num_rows // 2, size=num_rows)]).where(source > 0),
    )
    train["patient_id"] = train["patient_id"].where(train["source"] == 0)
    test = _images("test", num_test, num_patients, rng).assign(source=0) if num_test else None
    return MergedTable(
        names=tuple(f"source{code}" for code in range(len(roots))),
        roots=roots,
        classes=CLASSES,
        train=train[[*COLUMNS, "target", "source", "crc32c"]],
        test=test,
        sample_submission=None,
    )


def drawn_lesion(seed: int) -> np.ndarray:
    """Returns an image of a lesion; no two seeds draw images that look alike."""
    rng = np.random.default_rng(seed)
    return draw_lesion(Traits(*rng.normal(size=4)), rng.random(), rng)


def _images(split: str, num_rows: int, num_patients: int, rng: np.random.Generator) -> pd.DataFrame:
    words = {
        name: np.array(known, dtype=object)[rng.integers(len(known), size=num_rows)] for name, known in _WORDS.items()
    }
    table = pd.DataFrame(
        {
            "image_name": [f"ISIC_{split}_{number:07d}" for number in range(num_rows)],
            "file": [f"jpeg/{split}/ISIC_{number:07d}.jpg" for number in range(num_rows)],
            "size": rng.integers(10_000, 5_000_000, size=num_rows),
            "version": rng.integers(10**18, size=num_rows),
            "lesion_id": None,
            "patient_id": [f"IP_{number:07d}" for number in rng.integers(num_patients, size=num_rows)],
            "age_approx": np.where(rng.random(num_rows) < 0.1, np.nan, 5.0 * rng.integers(1, 18, size=num_rows)),
            **words,
        }
    )
    return table[list(COLUMNS)]
