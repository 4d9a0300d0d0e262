"""Names of runs, of which no two are alike."""

from collections import Counter
from collections.abc import Sequence

from pipelines.contract.inputs import absolute
from tfrecords_tools.foundation.files import AnyPath


def run_names(folders: Sequence[AnyPath]) -> dict[AnyPath, str]:
    """Returns what a page calls each of some folders: the shortest end of its path that no other one ends with.

    Of `a/run`, `b/run` and `c/gan` these are `a/run`, `b/run` and `gan`. Folders are told apart by their path.
    """
    parts = {folder: absolute(folder).rstrip("/").split("/") for folder in dict.fromkeys(folders)}
    return {folder: _shortest(own, list(parts.values())) for folder, own in parts.items()}


def _shortest(own: Sequence[str], all_parts: Sequence[Sequence[str]]) -> str:
    ends = ("/".join(own[-length:]) for length in range(1, len(own) + 1))
    for length, end in enumerate(ends, start=1):
        if Counter("/".join(parts[-length:]) for parts in all_parts)[end] == 1:
            return end
    return "/".join(own)
