"""The section on shards: what was odd in images and tables is told."""

from dataclasses import replace

import pandas as pd

from pipelines.artefacts.shards_report import BLANK_FILE, VALUES_FILE
from pipelines.pages.page import Table
from pipelines.pages.shards_section import shards_section
from tests.pipelines.artefacts.made_up_shards import SHARDS
from tfrecords_tools.csv_tables import write_table

COLUMNS = ["table", "column", "value", "images"]


def test_blank_images_and_values_that_were_not_understood_are_told(tmp_path):
    values = pd.DataFrame([["train.csv", "age", "-5", 3]], columns=COLUMNS)
    write_table(tmp_path / VALUES_FILE, values)
    section = shards_section(tmp_path, replace(SHARDS.manifest, blank=2))
    assert BLANK_FILE in section.text
    assert section.items[-1].rows == (("train.csv", "age", "-5", "3"),)


def test_nothing_is_told_where_all_was_as_it_should_be(tmp_path):
    write_table(tmp_path / VALUES_FILE, pd.DataFrame(columns=COLUMNS))
    section = shards_section(tmp_path, SHARDS.manifest)
    assert BLANK_FILE not in section.text
    assert len([item for item in section.items if isinstance(item, Table)]) == 1
