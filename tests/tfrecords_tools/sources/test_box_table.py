"""The CSV of boxes: read, here and in a bucket, and the first wrong row is named with its line."""

import pytest

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import as_path, write_atomically
from tfrecords_tools.sources.box_table import read_boxes

NAMES = {"a", "b", "ä, c"}
HEADER = "image_name,x_min,y_min,x_max,y_max\n"


def written(folder, text: str, encoding: str = "utf-8"):
    path = folder / "boxes.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_every_image_has_its_boxes_in_the_order_of_the_rows(tmp_path):
    path = written(tmp_path, HEADER + 'a,1,2,3,4\n"ä, c",0,0,1e2,0.5\na,0,0,9,9\n')
    assert read_boxes(path, NAMES) == {"a": [[1, 2, 3, 4], [0, 0, 9, 9]], "ä, c": [[0, 0, 100, 0.5]]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_columns_may_come_in_any_order_beside_others(tmp_path, encoding):
    text = "y_max,label,x_max,y_min,x_min,image_name\r\n4,nevus,3,2,1,b\r\n"
    assert read_boxes(written(tmp_path, text, encoding), NAMES) == {"b": [[1, 2, 3, 4]]}


def test_a_csv_in_a_bucket_is_read(bucket):
    path = as_path(bucket) / "boxes.csv"
    write_atomically(path, HEADER + "a,1,2,3,4\n")
    assert read_boxes(path, NAMES) == {"a": [[1, 2, 3, 4]]}


def test_no_rows_are_no_boxes(tmp_path):
    assert read_boxes(written(tmp_path, HEADER), NAMES) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"boxes\.csv: no column image_name, x_min, y_min, x_max, y_max; .*--boxes"),
        ("image_name,x_min,y_min,width,height\n", r"boxes\.csv: no column x_max, y_max; .*--boxes"),
        (HEADER + "a,1,2,3,4\nd,1,2,3,4\n", r"boxes\.csv line 3: .*'d'"),
        (HEADER + "a,1,2,3,4\n\na,1,two,3,4\n", r"boxes\.csv line 4: y_min is 'two'"),
        (HEADER + "a,1,2,3\n", r"boxes\.csv line 2: y_max is None"),
        (HEADER + "a,1,2,,4\n", r"boxes\.csv line 2: x_max is ''"),
        (HEADER + "a,1,2,inf,4\n", r"boxes\.csv line 2: x_max is 'inf'"),
        (HEADER + "a,nan,2,3,4\n", r"boxes\.csv line 2: x_min is 'nan'"),
        (HEADER + "a,3,2,1,4\n", r"boxes\.csv line 2: \(3, 2, 1, 4\) .*0 <= x_min < x_max"),
        (HEADER + "a,1,2,3,2\n", r"boxes\.csv line 2: \(1, 2, 3, 2\) "),
        (HEADER + "a,-1,2,3,4\n", r"boxes\.csv line 2: \(-1, 2, 3, 4\) "),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as error:
        read_boxes(written(tmp_path, text), NAMES)
    assert "\n" not in str(error.value)


def test_what_is_no_csv_is_named(tmp_path):
    with pytest.raises(DataError, match=r"boxes\.csv: .*--boxes"):
        read_boxes(tmp_path / "boxes.csv", NAMES)
    with pytest.raises(DataError, match=r"boxes\.csv: .*utf-8.*--boxes"):
        read_boxes(written(tmp_path, HEADER + "ä,1,2,3,4\n", "latin-1"), NAMES)
