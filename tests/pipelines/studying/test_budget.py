"""What is cut from a study that has too few hours."""

import pytest

from pipelines.artefacts.study import StudyConfig
from pipelines.studying import budget
from pipelines.studying.budget import Sizes, read_sizes, with_sizes, write_sizes
from pipelines.studying.design import Design
from pipelines.studying.pilot import Costs
from tfrecords_tools.foundation.errors import CommandError, DataError

ASKED = {
    "methods": ("gan", "cdragan"),
    "ratios": ("0.25", "0.5", "1", "2"),
    "seeds": 5,
    "generator_seeds": 3,
}


def design(hours: float) -> Design:
    config = StudyConfig(shards="shards", workdir="study", budget_hours=hours, **ASKED)
    return Design(config, shards=None, label=0, methods=config.methods)


@pytest.fixture(autouse=True)
def costs(monkeypatch):
    """An hour for a generator of each method, and one for each seed and ratio."""

    def hours_left(asked, images, costs):
        config = asked.config
        return len(asked.methods) * config.generator_seeds + config.seeds * len(config.ratios)

    monkeypatch.setattr(budget, "hours_left", hours_left)


def fitted(hours: float) -> Sizes:
    return Sizes.of(budget.fit(design(hours), None, Costs({}, 0.0)).config)


@pytest.mark.parametrize(
    ("hours", "sizes"),
    [
        (26, Sizes(ASKED["methods"], ASKED["ratios"], 5, 3)),
        (25, Sizes(ASKED["methods"], ASKED["ratios"], 4, 3)),
        (18, Sizes(ASKED["methods"], ASKED["ratios"], 3, 3)),
        (16, Sizes(ASKED["methods"], ASKED["ratios"], 3, 2)),
        (13, Sizes(ASKED["methods"], ("0.5", "1", "2"), 3, 2)),  # a fourth is farther from 1 than 2 is
        (10, Sizes(ASKED["methods"], ("0.5", "1"), 3, 2)),
        (8, Sizes(ASKED["methods"], ("0.5", "1"), 2, 2)),
        (4, Sizes(ASKED["methods"], ("1",), 2, 1)),
        (3, Sizes(("gan",), ("1",), 2, 1)),
    ],
)
def test_what_tells_least_is_cut_first(hours, sizes):
    assert fitted(hours) == sizes


def test_what_saves_nothing_is_not_cut(monkeypatch):
    monkeypatch.setattr(budget, "hours_left", lambda asked, *_: 2.0 * asked.config.generator_seeds)
    assert fitted(4) == Sizes(ASKED["methods"], ASKED["ratios"], 5, 2)


def test_too_few_hours_for_the_smallest_design_are_refused_with_those_that_it_takes():
    with pytest.raises(CommandError, match="budget_hours=1: the smallest design takes 3"):
        fitted(1)


def test_a_study_resumes_with_the_sizes_that_it_was_begun_with(tmp_path):
    sizes = Sizes(("gan",), ("1",), 2, 1)
    assert read_sizes(tmp_path) is None
    write_sizes(tmp_path, sizes)
    assert read_sizes(tmp_path) == sizes
    smaller = with_sizes(design(3), sizes)
    assert (smaller.methods, smaller.config.seeds) == (("gan",), 2)
    assert sizes.cut_from(Sizes.of(design(3).config)) == (
        "methods: gan of gan, cdragan",
        "ratios: 1 of 0.25, 0.5, 1, 2",
        "seeds: 2 of 5",
        "generator_seeds: 1 of 3",
    )
    (tmp_path / "design.json").write_text("{")
    with pytest.raises(DataError):
        read_sizes(tmp_path)
