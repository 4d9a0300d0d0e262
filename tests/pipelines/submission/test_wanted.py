"""The images of a submission: the order of the rows, what is refused, and what is filled."""

import numpy as np
import pandas as pd
import pytest

from pipelines.submission.wanted import (
    arrange,
    fill_with_means,
    missing_images,
    read_wanted_names,
    require_same_names,
)
from tfrecords_tools.foundation.errors import CommandError


def _predictions(**targets: float) -> pd.Series:
    return pd.Series(targets)


def test_rows_follow_the_sample_submission():
    table = arrange(_predictions(a=0.1, b=0.2, c=0.3), ["c", "a", "b"])
    assert table.to_dict("list") == {"image_name": ["c", "a", "b"], "target": [0.3, 0.1, 0.2]}


@pytest.mark.parametrize(
    ("predictions", "wanted", "message"),
    [
        (_predictions(a=0.1), ["a", "b"], "1 missing from the test shards: b"),
        (_predictions(a=0.1, b=0.2), ["a"], "1 not in the sample submission: b"),
        (pd.Series([0.1, 0.2], index=["a", "a"]), ["a"], "1 repeated in the test shards: a"),
        (_predictions(a=0.1), ["a", "a"], "1 repeated in the sample submission: a"),
        (_predictions(a=np.nan, b=np.inf), ["a", "b"], "2 without a finite prediction: a, b"),
    ],
)
def test_a_submission_that_would_be_wrong_is_refused_by_name(predictions, wanted, message):
    with pytest.raises(CommandError, match=message):
        arrange(predictions, wanted)


def test_missing_images_are_refused_with_what_to_do():
    with pytest.raises(CommandError, match=r"2 missing from the test shards: b, d; .*rejected\.csv.*--fill=mean"):
        require_same_names(["a", "c"], ["a", "b", "c", "d"])
    with pytest.raises(CommandError) as refusal:
        require_same_names(["a", "c"], ["a"])
    assert "--fill" not in str(refusal.value)
    require_same_names(["c", "a"], ["a", "c"])


def test_missing_images_get_the_mean_of_the_predictions_and_are_named(caplog):
    wanted = ["d", "a", "c", "b"]
    predictions = _predictions(a=0.1, b=0.4)
    assert missing_images(predictions.index, wanted) == ["d", "c"]
    table = arrange(fill_with_means([predictions], ["d", "c"])[0], wanted)
    assert table["image_name"].tolist() == wanted
    assert table["target"].tolist() == pytest.approx([0.25, 0.1, 0.25, 0.4])
    assert "d, c" in caplog.text
    caplog.clear()
    assert fill_with_means([predictions], [])[0] is predictions
    assert not caplog.text


def test_an_image_may_be_called_na(tmp_path):
    (tmp_path / "sample.csv").write_text("image_name,target\nNA,0\nISIC_1,0\n")
    assert read_wanted_names(tmp_path / "sample.csv") == ["NA", "ISIC_1"]


@pytest.mark.parametrize("data", [b"", "image_name,target\na,0\n".encode("utf-16"), b"a,b\n1,2\n1,2,3\n"])
def test_a_sample_submission_that_is_no_table_is_refused(tmp_path, data):
    (tmp_path / "sample.csv").write_bytes(data)
    with pytest.raises(CommandError, match=r"sample\.csv: .*--sample_submission"):
        read_wanted_names(tmp_path / "sample.csv")


def test_a_sample_submission_without_names_is_refused(tmp_path):
    (tmp_path / "sample.csv").write_text("id,target\n1,0\n")
    with pytest.raises(CommandError, match="sample.csv: .*image_name.*id, target"):
        read_wanted_names(tmp_path / "sample.csv")
    with pytest.raises(CommandError, match="nothing.csv: .*--sample_submission"):
        read_wanted_names(tmp_path / "nothing.csv")
