"""Data sets as tables: one file a source. To add one, write its `load` and list it in `SOURCES`."""

from collections.abc import Callable
from pathlib import Path

from tfrecords_tools.sources import cells, image_folder, phantom, siim_isic
from tfrecords_tools.sources.table import SourceOptions, SourceTable

SOURCES: dict[str, Callable[[Path, SourceOptions], SourceTable]] = {
    "siim_isic": siim_isic.load,
    "cells": cells.load,
    "image_folder": image_folder.load,
    "phantom": phantom.load,
}
