"""CSV files of predictions that anybody wrote: read, or refused in one line that names the file and the images."""

import pytest

from pipelines.submission.csv_predictions import read_csv_predictions
from tfrecords_tools.foundation.errors import CommandError

WANTED = ["NA", "007", "c"]


def read(tmp_path, text: str, takes_any_scale: bool = False):
    (tmp_path / "other.csv").write_text(text)
    return read_csv_predictions(tmp_path / "other.csv", WANTED, takes_any_scale)


@pytest.mark.parametrize(
    "text",
    [
        "image_name,target\nNA,0.25\n007,1\nc,1e-3\n",
        "pred,image_name\r\n1,007\r\n1e-3,c\r\n0.25,NA\r\n",
        "\ufeffimage_name,target\nNA,0.25\n007,1\nc,1e-3\n",
        ",image_name,target\n0,NA,0.25\n1,007,1\n2,c,1e-3\n",
        "image_name,note,target\nNA,good,0.25\n007,5,1\nc,,1e-3\n",
    ],
    ids=["plain", "other order", "byte order mark", "index", "notes"],
)
def test_the_column_of_numbers_is_found_whatever_its_name(tmp_path, text):
    values = read(tmp_path, text)
    assert values.loc[WANTED].tolist() == [0.25, 1.0, 0.001]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("image_name,target\nNA,0\nc,0\n", "1 missing from .*other.csv: 007"),
        ("image_name,target\nNA,0\n007,0\nc,0\nd,0\n", "1 of .*other.csv not in the sample submission: d"),
        ("image_name,target\nNA,0\n007,0\nc,0\nc,0\n", "1 repeated in .*other.csv: c"),
        ("image_name,target\nNA,0\n007,\nc,x\n", "2 values.*'' of 007, 'x' of c"),
        ("image_name,target\nNA,nan\n007,inf\nc,0\n", "2 values.*'nan' of NA, 'inf' of 007"),
        ("image_name,target\nNA,0\n007,1.5\nc,-0.1\n", "2 values.*1.5' of 007, '-0.1' of c.*--ensemble=rank"),
        ("image_name,target,pred\nNA,0,0\n007,0,0\nc,0,0\n", "target, pred"),
        ("image_name,a,b\nNA,x,y\n007,x,y\nc,x,y\n", "no column of numbers"),
        ("image_name\nNA\n007\nc\n", "no column of numbers"),
        ("id,target\nNA,0\n", "image_name.*id, target"),
        ("image_name,target\nNA,0,1\n007,0,1\nc,0,1\n", "more values"),
        ("", "CSV"),
        ('"', "CSV"),
    ],
)
def test_what_would_be_wrong_is_refused_by_file_and_name(tmp_path, text, named):
    with pytest.raises(CommandError, match=named) as refusal:
        read(tmp_path, text)
    assert "other.csv" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_ranks_take_any_scale_but_no_infinity(tmp_path):
    assert read(tmp_path, "image_name,target\nNA,-3\n007,1e9\nc,0\n", takes_any_scale=True).tolist() == [-3, 1e9, 0]
    with pytest.raises(CommandError, match="'-inf' of NA"):
        read(tmp_path, "image_name,target\nNA,-inf\n007,1e9\nc,0\n", takes_any_scale=True)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CommandError, match=r"nothing\.csv"):
        read_csv_predictions(tmp_path / "nothing.csv", WANTED, takes_any_scale=False)
