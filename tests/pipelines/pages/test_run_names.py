from pathlib import Path

import pytest

from pipelines.pages.run_names import run_names


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["/x/run", "/x/gan"], ["run", "gan"]),
        (["/x/a/run", "/x/b/run", "/x/gan"], ["a/run", "b/run", "gan"]),
        (["/a/seed/run", "/b/seed/run", "/b/other/run"], ["a/seed/run", "b/seed/run", "other/run"]),
        (["/run", "/a/run"], ["/run", "a/run"]),
        (["/a/run", "/a/run"], ["run"]),
    ],
)
def test_the_shortest_end_of_a_path_that_no_other_has_names_a_run(folders, names):
    assert list(run_names(list(map(Path, folders))).values()) == names
