"""A folder of masks, one an image: <image_name>_Segmentation.png, as the ISIC challenges have it, or <image_name>.png.

Upper and lower case are the same. What ends the name of an image, such as .jpg, may be left out.
"""

from collections.abc import Iterable
from pathlib import PurePosixPath

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, ListedFile
from tfrecords_tools.foundation.texts import in_one_line
from tfrecords_tools.sources.image_folder import EXTENSIONS
from tfrecords_tools.sources.listing import list_images
from tfrecords_tools.sources.table import require_folder

ENDING = ".png"
_SUFFIX = "_segmentation"
_REMEDY = "--masks takes a folder of <image_name>_Segmentation.png"


def find_masks(folder: AnyPath, image_names: Iterable[str]) -> dict[str, ListedFile]:
    """Returns the file of every image that has a mask, by the name of the image; hidden files are none.

    Arguments:
      folder: of the masks.
      image_names: names of the images of the data set.

    Raises:
      DataError: for no such folder or no mask in it, and for the first mask of no image, of one of several, or of one
        that has another mask.
    """
    require_folder(folder, _REMEDY)
    files = list_images(folder, (ENDING,))
    if not files:
        raise DataError(f"{folder}: no mask (*{ENDING}) in this folder; {_REMEDY}")
    names = _by_key(image_names)
    masks: dict[str, ListedFile] = {}
    for file in files:
        stem = file.name.lower().removesuffix(ENDING)
        found = names.get(stem) or names.get(stem.removesuffix(_SUFFIX), [])
        place = f"{folder}/{in_one_line(file.name)}"
        if not found:
            raise DataError(f"{place}: no image of this name in this data set; rename the mask, or remove it")
        if len(found) > 1:
            raise DataError(f"{place}: a mask of {found[0]} or of {found[1]}; name it after one, in full")
        if (other := masks.setdefault(found[0], file)) is not file:
            raise DataError(f"{place}: the image {found[0]} has another mask, {other.name}; remove one of them")
    return masks


def _by_key(image_names: Iterable[str]) -> dict[str, list[str]]:
    """Returns the images that a name stands for, in lower case, with and without what ends it."""
    names: dict[str, list[str]] = {}
    for name in image_names:
        path = PurePosixPath(name.lower())
        names.setdefault(str(path), []).append(name)
        if path.suffix in EXTENSIONS:
            names.setdefault(str(path.with_suffix("")), []).append(name)
    return names
