"""Tables of predictions: read as written, and refused by their name when damaged."""

import pytest

from pipelines.artefacts.predictions import read_predictions
from tfrecords_tools.foundation.errors import DataError

TABLE = "image_name,patient_id,fold,label,benign,malignant\nNA,3,0,1,0.25,0.75\n007,4,0,0,0.5,0.5\n"


def test_names_stay_as_they_are(tmp_path):
    """An image may be called NA, or like a number."""
    (tmp_path / "oof.csv").write_text(TABLE)
    table = read_predictions(tmp_path / "oof.csv", ("benign", "malignant"))
    assert table["image_name"].tolist() == ["NA", "007"]
    assert table["malignant"].tolist() == [0.75, 0.5]


@pytest.mark.parametrize("text", ["", "image_name,fold\na,0\n", '"', TABLE + "a,b,c,d,e,f,g,h,i\n"])
def test_a_damaged_table_is_refused_by_its_name(tmp_path, text):
    (tmp_path / "oof.csv").write_text(text)
    with pytest.raises(DataError, match=f"^{tmp_path}/oof.csv: "):
        read_predictions(tmp_path / "oof.csv", ("benign", "malignant"))
