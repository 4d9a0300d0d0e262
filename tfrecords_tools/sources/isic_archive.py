"""ISIC 2018 (task 3) and ISIC 2019 as the challenges ship them, with the two classes of SIIM-ISIC: melanoma or not.

A folder holds one *_GroundTruth.csv (image, and a column of 0 and 1 for each diagnosis), itself or in a folder
*_GroundTruth, the images in a folder *_Input, and for 2019 a *_Metadata.csv (age_approx, anatom_site_general,
lesion_id, sex). For 2018 a *_LesionGroupings.csv (image, lesion_id) is read too. There are no patient ids; images of
one lesion stay together.

https://challenge.isic-archive.com/data/
"""

from collections.abc import Sequence

import pandas as pd

from tfrecords_tools.foundation.archives import without_ending
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, list_files, list_folders
from tfrecords_tools.sources.listing import is_of_the_system
from tfrecords_tools.sources.nested import holds, inner_folder, unpacked
from tfrecords_tools.sources.siim_isic import CLASSES
from tfrecords_tools.sources.table import COLUMNS, SourceOptions, SourceTable, UnknownValue, require_folder
from tfrecords_tools.sources.tables_of_names import named_files, read_csv, require_matches

_DIAGNOSES = ("MEL", "NV", "BCC", "AK", "AKIEC", "BKL", "DF", "VASC", "SCC", "UNK")  # each year has its own of these


def load(folder: AnyPath, options: SourceOptions) -> SourceTable:
    """Reads the tables of the one challenge that the folder holds.

    Raises:
      DataError: for a missing folder, table or column, several ground truths, or a row without exactly one diagnosis.
    """
    del options
    require_folder(folder, "--input must hold *_GroundTruth.csv and a folder *_Input, as the challenge ships them")
    folder = unpacked(folder, holds("*_GroundTruth*", "*_Input"))
    folders = sorted({without_ending(name) for name in list_folders(folder)})
    images = [inner_folder(folder, name) for name in folders if name.endswith("_Input")]
    if len(images) != 1:
        raise DataError(f"{folder}: {len(images)} folders *_Input, exactly one is needed beside the ground truth")
    places = ["", *(f"{inner_folder(folder, name)}/" for name in folders if name.endswith("_GroundTruth"))]
    path = _the_one(folder, "_GroundTruth.csv", places)
    truth, _ = read_csv(path, ("image", "MEL", "NV"), "image")
    known = [column for column in truth if column in _DIAGNOSES]
    diagnoses = truth[known].apply(pd.to_numeric, errors="coerce")
    wrong = truth[~diagnoses.isin([0, 1]).all(axis=1) | (diagnoses.sum(axis=1) != 1)]
    if len(wrong):
        raise DataError(
            f"{path}: {wrong['image'].iloc[0]} has not exactly one diagnosis ({', '.join(known)} are "
            f"{', '.join(map(str, wrong[known].iloc[0]))}); correct its row"
        )
    train = pd.DataFrame({"image_name": truth["image"], "diagnosis": diagnoses.idxmax(axis=1)})
    metadata, not_understood = _metadata(folder, train["image_name"])
    train = train.assign(target=(train["diagnosis"] == "MEL").astype(int), **metadata)
    train = train.assign(patient_id=None, **named_files(folder, images[0], train["image_name"]))
    return SourceTable(root=folder, classes=CLASSES, train=train[[*COLUMNS, "target"]], not_understood=not_understood)


def _metadata(folder: AnyPath, names: pd.Series) -> tuple[dict[str, pd.Series], tuple[UnknownValue, ...]]:
    """Returns lesion_id, sex, age_approx and anatom_site_general_challenge, as far as tables have them.

    With them come the values that were not understood.
    """
    not_understood: tuple[UnknownValue, ...] = ()
    known = pd.DataFrame(index=pd.Index(names))
    for ending in ("_Metadata.csv", "_LesionGroupings.csv"):
        if _files(folder, ending):
            path = _the_one(folder, ending)
            table, unknown = read_csv(path, ("image",), "image")
            table, not_understood = table.set_index("image"), not_understood + unknown
            # Unknown lesions would be spread over the folds.
            require_matches(folder, list(names), path, set(table.index))
            known = known.join(table[table.columns.difference(known.columns)])
    columns = ("lesion_id", "sex", "age_approx", "anatom_site_general_challenge")
    return {column: known[column].to_numpy() if column in known else None for column in columns}, not_understood


def _the_one(folder: AnyPath, ending: str, places: Sequence[str] = ("",)) -> AnyPath:
    """Returns the only file of this ending in some folders of the folder."""
    found = _files(folder, ending, places)
    if len(found) != 1:
        raise DataError(f"{folder}: {len(found)} files *{ending}, exactly one is needed; one challenge a folder")
    return folder / found[0]


def _files(folder: AnyPath, ending: str, places: Sequence[str] = ("",)) -> list[str]:
    names = [place + file.name for place in places for file in list_files(folder / place)]
    return [name for name in names if name.endswith(ending) and not is_of_the_system(name)]
