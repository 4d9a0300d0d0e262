"""What tests of a command's folder share."""

import pytest

from tfrecords_tools.foundation.files import as_path


@pytest.fixture(params=["here", "bucket"])
def folder(request, tmp_path):
    return as_path(str(tmp_path / "run") if request.param == "here" else request.getfixturevalue("bucket"))
