"""Names of classes: nearly any is fit."""

import pytest

from tfrecords_tools.foundation.class_names import ALL_CLASSES, require_class_names
from tfrecords_tools.foundation.errors import DataError


def test_names_that_can_be_told_apart_are_fit():
    require_class_names(
        ["fold", "Fold", "NA", "1", "1.0", "_x", "$x$", "=1+1", "<b>", " a", "😀", "\u202eab", "y" * 250], ""
    )


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[31m", "\x00", "\udce9", ALL_CLASSES])
def test_others_are_refused_with_their_place(name):
    with pytest.raises(DataError, match="^images: ") as refusal:
        require_class_names(["benign", name], "images")
    assert repr(name) in str(refusal.value)
