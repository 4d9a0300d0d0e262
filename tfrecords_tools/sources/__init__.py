"""Data sets as tables: one file a source. To add one, write its `load` and list it in `SOURCES`."""

from collections.abc import Callable

from tfrecords_tools.foundation.files import AnyPath
from tfrecords_tools.sources import cells, image_folder, isic_archive, phantom, siim_isic, tfrecords
from tfrecords_tools.sources.table import SourceOptions, SourceTable

SOURCES: dict[str, Callable[[AnyPath, SourceOptions], SourceTable]] = {
    "siim_isic": siim_isic.load,
    "isic_archive": isic_archive.load,
    "cells": cells.load,
    "image_folder": image_folder.load,
    "tfrecords": tfrecords.load,
    "phantom": phantom.load,
}
