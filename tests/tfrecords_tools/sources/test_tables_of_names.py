"""Tables as people have them: spellings of names, columns and values, and what is refused in one line."""

from pathlib import Path

import pytest

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import MISSING_SIZE
from tfrecords_tools.foundation.metadata import CATEGORIES, MISSING
from tfrecords_tools.sources.table import UnknownValue
from tfrecords_tools.sources.tables_of_names import named_files, read_csv, require_matches

COLUMNS = ("image_name", "sex", "age_approx", "target")
PLAIN = "image_name,sex,age_approx,target\nA_1,male,45,0\nB_2,female,50,1\n"


def read(folder: Path, text: str | bytes):
    (folder / "t.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    return read_csv(folder / "t.csv", COLUMNS, "image_name")[0]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "\ufeff" + PLAIN,
        PLAIN.replace(",", ", ", 3),
        PLAIN.replace("target", "Target").replace("image_name", "Image_Name"),
        PLAIN.replace("A_1", "A_1.jpg").replace("B_2", "B_2.PNG"),
        PLAIN.replace("A_1", " A_1 ").replace("B_2", "B_2  "),
        PLAIN.replace(",0\n", ",0,\n").replace(",1\n", ",1,\n"),
    ],
    ids=["plain", "CRLF", "CR", "BOM", "spaces", "case", "endings", "trimmed", "trailing commas"],
)
def test_spellings_of_a_table_are_one_table(tmp_path, text):
    table = read(tmp_path, text)
    assert table["image_name"].tolist() == ["A_1", "B_2"]
    assert table["age_approx"].tolist() == [45, 50]
    assert table["target"].tolist() == [0, 1]


def test_an_image_may_be_called_na(tmp_path):
    table = read(tmp_path, PLAIN.replace("A_1", "NA").replace("female", "NA"))
    assert table["image_name"].tolist() == ["NA", "B_2"]
    assert table["sex"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (PLAIN.encode("utf-16"), "UTF-16.*UTF-8"),
        (PLAIN.replace(",", ";"), "';'.*commas"),
        (PLAIN.replace(",", "\t"), r"'\\t'.*commas"),
        (PLAIN.replace("B_2", "A_1.jpg"), "A_1 stands in more than one row"),
        (PLAIN.replace("B_2", " "), "no image_name in line 3"),
        (PLAIN.replace("B_2", '"B\n2"'), r"image_name 'B\\n2' holds control characters"),
        (PLAIN.replace("sex", "gender"), "no column sex.*gender"),
        (PLAIN + "C,male,1,0,x,y\n", "not a CSV table.*line 4"),
    ],
)
def test_what_is_no_such_table_is_refused_with_its_name_and_what_to_do(tmp_path, text, told):
    with pytest.raises(DataError, match=f"^{tmp_path}/t.csv: .*{told}"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "age"), [("45", 45), ("45.5", 45.5), ("85+", 85), ("45 years", 45), ("055Y", 55), (" 60 ", 60)]
)
def test_ages_are_understood_as_people_write_them(tmp_path, text, age):
    assert read(tmp_path, PLAIN.replace("45", text))["age_approx"].tolist() == [age, 50]


@pytest.mark.parametrize("text", ["-5", "60-65", "1e2", "inf", "old"])
def test_what_is_no_age_is_missing_and_told(tmp_path, text, caplog):
    assert read(tmp_path, PLAIN.replace("45", text))["age_approx"].isna().tolist() == [True, False]
    assert all(part in caplog.text for part in (f"{tmp_path}/t.csv", "age_approx", text, "(1)"))


def test_a_value_that_is_not_understood_is_told_with_its_column_and_count(tmp_path, caplog):
    read(tmp_path, PLAIN.replace("female", "Male").replace("male,", "x,"))
    assert "sex" in caplog.text
    assert "'x' (1)" in caplog.text
    assert "Male" not in caplog.text


def test_values_that_are_not_understood_are_counted_with_the_most_frequent_first(tmp_path):
    rows = ["x,7", "x,-5", "Male,-5", "y,", "unknown,-5", ",unknown"]
    text = "image_name,sex,age_approx,target\n" + "".join(f"A_{n},{row},0\n" for n, row in enumerate(rows))
    (tmp_path / "t.csv").write_text(text)
    _, unknown = read_csv(tmp_path / "t.csv", COLUMNS, "image_name")
    path = str(tmp_path / "t.csv")
    assert set(unknown) == {
        UnknownValue(path, "sex", "x", 2),
        UnknownValue(path, "sex", "y", 1),
        UnknownValue(path, "age_approx", "-5", 3),
    }
    assert [each.images for each in unknown if each.column == "sex"] == [2, 1]


def test_the_site_of_the_archive_is_that_of_kaggle_and_its_values_are_told_too(tmp_path):
    (tmp_path / "t.csv").write_text("image,anatom_site_general\nA,Torso\nB,knee\n")
    table, unknown = read_csv(tmp_path / "t.csv", ("image",), "image")
    assert table["anatom_site_general_challenge"].tolist() == ["Torso", "knee"]
    assert [(each.value, each.images) for each in unknown] == [("knee", 1)]


@pytest.mark.parametrize(
    ("column", "text", "name"),
    [
        ("sex", "M", "male"),
        ("sex", " FEMALE ", "female"),
        ("anatom_site_general_challenge", "Head/Neck", "head/neck"),
        ("anatom_site_general_challenge", "lower-extremity", "lower extremity"),
        ("anatom_site_general_challenge", "trunk", "torso"),
        ("diagnosis", "Lentigo nos", "lentigo NOS"),
    ],
)
def test_values_are_understood_in_any_case(column, text, name):
    assert CATEGORIES[column].encode(text) == CATEGORIES[column].codes[name] != MISSING


def test_files_are_found_in_any_case_and_most_of_them_must_be(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(12):
        (tmp_path / "in" / f"isic_{number}.JPG").write_bytes(b"x")
    names = [f"ISIC_{number}" for number in range(12)]
    found = named_files(tmp_path, "in", names)
    assert found["file"] == [f"in/isic_{number}.JPG" for number in range(12)]
    assert named_files(tmp_path, "in", [*names[:7], *"abcde"])["size"][7:] == [MISSING_SIZE] * 5
    with pytest.raises(DataError, match="1 of its 12 images .*"):
        named_files(tmp_path, "in", [names[0], *(f"other_{number}" for number in range(11))])


def test_two_names_of_each_side_show_that_tables_do_not_belong_together():
    with pytest.raises(DataError, match="^a: 0 of its 3 images are in b; it has x1, x2, there is y1, y2; "):
        require_matches("a", ["x1", "x2", "x3"], "b", {"y2", "y1", "y3"})
    require_matches("a", ["x1", "x2", "x3"], "b", {"x1"})
