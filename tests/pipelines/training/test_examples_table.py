"""The table that says which images a classifier learns from."""

import pytest

from pipelines.training.examples_table import read_examples, require_known
from tfrecords_tools.foundation.errors import CommandError

CLASSES = ("benign", "malignant")


def read(tmp_path, text):
    (tmp_path / "examples.csv").write_text(text)
    return read_examples(str(tmp_path / "examples.csv"), CLASSES)


def test_counts_are_one_and_classes_those_of_the_records_unless_they_are_given(tmp_path):
    found = read(tmp_path, "image_name,count,class\na,2,malignant\nNA,1,\nc,0,\n")
    assert found.to_dict("index") == {"a": {"count": 2, "label": 1}, "NA": {"count": 1, "label": -1}}
    found = read(tmp_path, "image_name\n1\n2\n")
    assert found.to_dict("index") == {name: {"count": 1, "label": -1} for name in ("1", "2")}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("name\na\n", "image_name"),
        ("", "examples.csv"),
        ("image_name\na\na\n", "a.*twice|twice.*a"),
        ("image_name,count\na,-1\n", "count"),
        ("image_name,count\na,1.5\n", "count"),
        ("image_name,count\na,many\n", "count"),
        ("image_name,count\na,\n", "count"),
        ("image_name,class\na,mole\n", "benign, malignant"),
    ],
)
def test_what_is_no_such_table_is_refused(tmp_path, text, named):
    with pytest.raises(CommandError, match=named):
        read(tmp_path, text)


def test_a_table_that_is_not_there_is_refused(tmp_path):
    with pytest.raises((CommandError, OSError)):
        read_examples(str(tmp_path / "none.csv"), CLASSES)


def test_images_that_are_not_there_and_synthetic_ones_of_another_class_are_named(tmp_path):
    table = read(tmp_path, "image_name,class\na,benign\nb,\ns,\n")
    require_known("t.csv", table, ["a", "b", "c"], ["s"])
    with pytest.raises(CommandError, match="1 images.*\\(s\\)"):
        require_known("t.csv", table, ["a", "b", "c"], [])
    table = read(tmp_path, "image_name,class\ns,benign\n")
    with pytest.raises(CommandError, match="synthetic"):
        require_known("t.csv", table, ["a"], ["s"])
