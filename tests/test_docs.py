"""The docs name files of the project that are there."""

import re

from tests.conftest import ROOT


def test_the_tests_that_show_what_happens_are_there():
    named = re.findall(r"`([\w/]+\.py)`", (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8"))
    places = (ROOT / "tests", ROOT / "tests" / "pipelines")
    assert len(set(named)) > 40
    assert [name for name in named if not any((place / name).is_file() for place in places)] == []
