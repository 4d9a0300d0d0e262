"""The metadata of an image: declared once, for tables, shards, batches and networks.

Columns and codes are as in the public Kaggle melanoma shards: `pandas.factorize` of the Kaggle train.csv, that is
order of first appearance. `MISSING` stands for what is not known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

MISSING = -1


@dataclass(frozen=True, kw_only=True)
class Category:
    """A column of categories.

    Attributes:
      codes: the integer that stands for each name.
      aliases: other names, as some tables have them, and what they stand for.
      unknown: the name that says nothing, if there is one.
      in_test_split: whether test images have it.
    """

    codes: Mapping[str, int]
    aliases: Mapping[str, str] = field(default_factory=dict)
    unknown: str = ""
    in_test_split: bool = True

    def encode(self, name: str | None) -> int:
        """Returns the code of a name, trimmed and in any case; `MISSING` for one that is not known."""
        return MISSING if name is None else self._codes_in_lower_case.get(name.strip().lower(), MISSING)

    @cached_property
    def names(self) -> dict[int, str]:
        """The name that each integer stands for."""
        return {code: name for name, code in self.codes.items()}

    @cached_property
    def _codes_in_lower_case(self) -> dict[str, int]:
        aliases = {alias: self.codes[name] for alias, name in self.aliases.items()}
        return {name.lower(): code for name, code in {**aliases, **self.codes}.items()}


PATIENT, AGE = "patient_id", "age_approx"
MASKS, BOXES = "masks", "boxes"  # what may outline the lesions of an image

# Every column in the order of the public tables: its categories, or None for a number.
METADATA: dict[str, Category | None] = {
    PATIENT: None,
    "sex": Category(codes={"male": 0, "female": 1}, aliases={"m": "male", "f": "female"}),
    AGE: None,
    "anatom_site_general_challenge": Category(
        codes={
            "head/neck": 0,
            "upper extremity": 1,
            "lower extremity": 2,
            "torso": 3,
            "palms/soles": 4,
            "oral/genital": 5,
        },
        aliases={
            "anterior torso": "torso",
            "posterior torso": "torso",
            "lateral torso": "torso",
            "trunk": "torso",
            "head or neck": "head/neck",
            "head and neck": "head/neck",
            "upper-extremity": "upper extremity",
            "lower-extremity": "lower extremity",
            "palms or soles": "palms/soles",
            "oral or genital": "oral/genital",
        },
    ),
    "diagnosis": Category(
        codes={
            "unknown": 0,
            "nevus": 1,
            "melanoma": 2,
            "seborrheic keratosis": 3,
            "lentigo NOS": 4,
            "lichenoid keratosis": 5,
            "solar lentigo": 6,
            "cafe-au-lait macule": 7,
            "atypical melanocytic proliferation": 8,
            # Ours, for the other years of the ISIC archive.
            "basal cell carcinoma": 9,
            "actinic keratosis": 10,
            "dermatofibroma": 11,
            "vascular lesion": 12,
            "squamous cell carcinoma": 13,
        },
        aliases={
            "NV": "nevus",
            "MEL": "melanoma",
            "BKL": "seborrheic keratosis",
            "BCC": "basal cell carcinoma",
            "AK": "actinic keratosis",
            "AKIEC": "actinic keratosis",
            "DF": "dermatofibroma",
            "VASC": "vascular lesion",
            "SCC": "squamous cell carcinoma",
            "UNK": "unknown",
        },
        unknown="unknown",
        in_test_split=False,
    ),
}

CATEGORIES = {name: category for name, category in METADATA.items() if category is not None}
PROPERTIES = tuple(name for name in METADATA if name != PATIENT)  # of an image, whoever the patient is
TEST_METADATA = tuple(name for name, category in METADATA.items() if category is None or category.in_test_split)
PATIENT_IMAGES = "patient_images"  # how many images of its patient a split has: counted when it is read, never stored
