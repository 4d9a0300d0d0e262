"""CSV files: no text is a formula for a spreadsheet, and every text is read as it was written."""

import csv

import pandas as pd
import pytest

from tfrecords_tools.csv_tables import read_table, rows_as_csv, write_table

FORMULAS = ["=1+1", "=cmd|' /C calc'!A0", "+1", "-5", "@SUM(A1)"]
TEXTS = [
    *FORMULAS,
    "'=1+1",
    "''-5",
    "'quoted'",
    "NA",
    "nan",
    "None",
    "1",
    "1.0",
    "007",
    'a,"b"',
    " a",
    "<b>",
    "Läsion 😀",
]


def test_texts_are_read_as_they_were_written(tmp_path):
    table = pd.DataFrame({"class": TEXTS, "value": [-0.5] * len(TEXTS)})
    write_table(tmp_path / "table.csv", table)
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.csv", ["class"]), table)


def test_no_cell_is_a_formula_and_numbers_stay_numbers(tmp_path):
    table = pd.DataFrame({"class": FORMULAS, "note": [None, "=2", None, 3, "x"], "value": [-1.5] * len(FORMULAS)})
    write_table(tmp_path / "table.csv", table)
    with open(tmp_path / "table.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == [f"'{text}" for text in FORMULAS]
    assert [row["note"] for row in rows] == ["", "'=2", "", "3", "x"]
    assert {row["value"] for row in rows} == {"-1.5"}


def test_a_missing_number_is_read_as_such(tmp_path):
    write_table(tmp_path / "table.csv", pd.DataFrame({"class": ["a", "b"], "value": [float("nan"), 1.0]}))
    assert read_table(tmp_path / "table.csv", ["class"])["value"].isna().tolist() == [True, False]


def test_a_table_without_a_column_is_refused(tmp_path):
    (tmp_path / "table.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match="class"):
        read_table(tmp_path / "table.csv", ["class"])


def test_rows_of_texts_have_no_formula_in_any_place_and_numbers_stay():
    text = rows_as_csv([["=a", "b"], ["-0.3", "+0.1 (0 to 1)"], ["1e-3", "a,b"]])
    assert list(csv.reader(text.splitlines())) == [["'=a", "b"], ["-0.3", "'+0.1 (0 to 1)"], ["1e-3", "a,b"]]
