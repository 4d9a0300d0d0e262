"""What a generator has seen: certainly, possibly, or unknown; refused, warned about, or told."""

import logging
import re
from dataclasses import replace

import pytest

from pipelines.artefacts.seen import (
    Certainty,
    describe_ancestors,
    require_same_classes,
    require_unseen,
    selected_by,
    sightings,
    split_seen,
    without_leaks,
)
from pipelines.artefacts.shards import Shards
from tests.pipelines.artefacts.made_up_shards import OTHER_FOLDS, OTHER_IMAGES, SHARDS, shards_of, used
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.provenance import SeenShards, ShardsUsed, SyntheticProvenance

HELD_OUT = SHARDS.manifest.shards[2:]
HELD_OUT_FILES = ("train02-9.tfrec", "train03-9.tfrec")
UNSEEN = SeenShards(trained_on=used(SHARDS, 0, 1))


def found(seen: SeenShards, held_out=HELD_OUT) -> list[tuple[Certainty, tuple[str, ...]]]:
    return [(sighting.certainty, sighting.shards) for sighting in sightings(seen, SHARDS.manifest, held_out)]


@pytest.mark.parametrize(
    ("shards", "expected"),
    [
        (used(SHARDS, 0, 1), []),
        (used(SHARDS, 1, 3), [(Certainty.SEEN, ("train03-9.tfrec",))]),
        (used(SHARDS, 0, 1, 2, 3), [(Certainty.SEEN, HELD_OUT_FILES)]),
        (used(OTHER_FOLDS, 0), [(Certainty.POSSIBLE, HELD_OUT_FILES)]),
        (used(OTHER_IMAGES, 0), [(Certainty.UNKNOWN, HELD_OUT_FILES)]),
    ],
    ids=["none", "one", "both", "other folds", "other images"],
)
def test_shards_of_equal_folds_are_compared_by_index_and_others_cannot_be(shards: ShardsUsed, expected):
    assert found(SeenShards(trained_on=shards)) == expected
    assert found(replace(UNSEEN, selected_on=shards)) == expected
    assert found(replace(UNSEEN, ancestors=(shards,))) == expected
    assert found(replace(UNSEEN, ancestors=(used(SHARDS, 0), shards))) == expected
    assert found(SeenShards(trained_on=shards), held_out=()) == []


def test_every_way_of_seeing_is_told_with_its_own_remedy():
    seen = SeenShards(trained_on=used(SHARDS, 2), selected_on=used(SHARDS, 3), ancestors=(used(SHARDS, 2, 3),))
    trained, selected, started = sightings(seen, SHARDS.manifest, HELD_OUT)
    assert [each.shards for each in (trained, selected, started)] == [
        ("train02-9.tfrec",),
        ("train03-9.tfrec",),
        HELD_OUT_FILES,
    ]
    assert len({each.how for each in (trained, selected, started)}) == 3
    for remedy in (trained.remedy, started.remedy):
        assert "--num_folds" in remedy
        assert "--fold" in remedy
    assert "--checkpoint=last" in selected.remedy
    assert "--eval_by=training" in selected.remedy


def test_a_generator_that_was_selected_on_its_training_images_has_seen_them_once():
    trained_on = used(SHARDS, 1, 2)
    assert found(SeenShards(trained_on=trained_on, selected_on=trained_on)) == [(Certainty.SEEN, ("train02-9.tfrec",))]


def test_what_was_or_may_have_been_seen_is_refused_by_name():
    require_unseen(UNSEEN, SHARDS, HELD_OUT, "it")
    with pytest.raises(CommandError, match="^it .*train03-9.tfrec.*--num_folds .*--fold"):
        require_unseen(SeenShards(trained_on=used(SHARDS, 1, 3)), SHARDS, HELD_OUT, "it")
    with pytest.raises(CommandError, match="^it .*/data/one.*--num_folds .*--fold"):
        require_unseen(SeenShards(trained_on=used(OTHER_FOLDS, 1, 3)), SHARDS, HELD_OUT, "it")
    with pytest.raises(CommandError, match="^it .*train02-9.tfrec.*--checkpoint=last"):
        require_unseen(replace(UNSEEN, selected_on=used(SHARDS, 2)), SHARDS, HELD_OUT, "it")


def test_other_images_pass_with_a_warning_that_names_the_shards(caplog):
    require_unseen(SeenShards(trained_on=used(OTHER_IMAGES, 2, 3)), SHARDS, HELD_OUT, "it")
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.startswith("it ")
    assert "/data/one" in warning


def test_with_nothing_held_out_nothing_is_refused(caplog):
    seen = SeenShards(trained_on=used(SHARDS, 0, 1, 2, 3), ancestors=(used(OTHER_IMAGES, 0), used(OTHER_FOLDS, 0)))
    require_unseen(seen, SHARDS, (), "it")
    assert caplog.records == []


def synthetic(*ancestors: ShardsUsed, **other: object) -> Shards:
    fields = {"generator": "f" * 64, "gan": "gan", "method": "bagan_gp", "seed": 0, "trained_on": used(SHARDS, 0, 1)}
    return shards_of("", provenance=SyntheticProvenance(**(fields | {"ancestors": ancestors} | other)))


def test_what_an_earlier_generator_saw_of_the_same_folds_is_refused_by_name():
    without_leaks(synthetic(used(SHARDS, 0), used(SHARDS, 1)), SHARDS, HELD_OUT)
    with pytest.raises(CommandError, match="train00-9.tfrec, .* train03-9.tfrec"):
        without_leaks(synthetic(used(SHARDS, 0), used(SHARDS, 1, 3)), SHARDS, HELD_OUT)


def test_what_an_earlier_generator_saw_of_the_same_images_in_other_folds_is_refused():
    with pytest.raises(CommandError, match="/data/one"):
        without_leaks(synthetic(used(OTHER_FOLDS, 0)), SHARDS, HELD_OUT)


def test_what_an_earlier_generator_saw_of_other_images_is_warned_about(caplog):
    without_leaks(synthetic(used(OTHER_IMAGES, 2, 3)), SHARDS, HELD_OUT)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "/data/one" in warning


@pytest.mark.parametrize("other", [OTHER_FOLDS, OTHER_IMAGES], ids=["other folds", "other images"])
def test_a_generator_of_other_folds_is_refused_whatever_its_ancestors(other):
    with pytest.raises(CommandError, match=f"/data: .*{other.folder}"):
        without_leaks(synthetic(used(SHARDS, 0)), other, HELD_OUT)


def test_a_set_of_other_classes_is_refused_by_both_lists():
    require_same_classes("it", ("a", "b"), SHARDS.folder, SHARDS.classes)
    for classes in (("b", "a"), ("a",)):
        with pytest.raises(CommandError, match=f"^it: .*{', '.join(classes)}.*/data/one.*a, b"):
            require_same_classes("it", classes, SHARDS.folder, SHARDS.classes)
    renamed = replace(synthetic(), manifest=replace(synthetic().manifest, classes=("a", "c")))
    with pytest.raises(CommandError, match="a, c.*a, b"):
        without_leaks(renamed, SHARDS, HELD_OUT)


def test_shards_are_split_into_those_that_were_trained_on_and_those_held_out():
    seen = SeenShards(trained_on=used(SHARDS, 3, 1), selected_on=used(SHARDS, 0), ancestors=(used(SHARDS, 2),))
    real = split_seen(seen, SHARDS, "shards")
    assert real.shards is SHARDS
    assert [shard.index for shard in real.seen] == [1, 3]
    assert [shard.index for shard in real.held_out] == [0, 2]
    for other in (OTHER_FOLDS, OTHER_IMAGES):
        with pytest.raises(CommandError, match=f"--shards={other.folder}: "):
            split_seen(seen, other, "shards")


def test_the_held_out_shards_that_a_generator_was_selected_by_are_told():
    assert selected_by(UNSEEN, SHARDS, HELD_OUT) == ()
    assert selected_by(replace(UNSEEN, selected_on=used(SHARDS, 1, 3)), SHARDS, HELD_OUT) == ("train03-9.tfrec",)
    for other in (OTHER_FOLDS, OTHER_IMAGES):
        assert selected_by(replace(UNSEEN, selected_on=used(other, 2, 3)), SHARDS, HELD_OUT) == ()


def test_what_earlier_generators_saw_is_told_by_folds():
    assert describe_ancestors(UNSEEN) == ""
    same = replace(UNSEEN, ancestors=(used(SHARDS, 3, 1), used(SHARDS, 1)))
    assert "1, 3" in describe_ancestors(same)
    assert "(three)" not in describe_ancestors(same)
    both = replace(same, ancestors=(*same.ancestors, used(OTHER_IMAGES, 0, 1)))
    assert re.search(r"1, 3 .*2 shards .*\(three\)", describe_ancestors(both))


def test_images_that_were_made_from_held_out_ones_are_refused_by_name():
    without_leaks(synthetic(made_from=(used(SHARDS, 0, 1),)), SHARDS, HELD_OUT)
    with pytest.raises(CommandError, match="train03-9.tfrec.*--sources"):
        without_leaks(synthetic(made_from=(used(SHARDS, 0, 3),)), SHARDS, HELD_OUT)


def test_of_shards_made_each_from_its_own_those_of_other_folds_are_taken():
    """The generator has seen all four real shards, but each synthetic shard holds something of one alone."""
    whole = synthetic(trained_on=used(SHARDS, 0, 1, 2, 3), each_from_its_own_shard=True)
    entries = tuple(replace(shard, made_from=(shard.index,)) for shard in whole.manifest.shards)
    every = whole.only(entries)
    assert [shard.index for shard in without_leaks(every, SHARDS, HELD_OUT).manifest.shards] == [0, 1]
    assert without_leaks(every, SHARDS, ()).manifest.shards == entries
    with pytest.raises(CommandError, match="/data"):
        without_leaks(every.only(entries[2:]), SHARDS, HELD_OUT)
    unknown = synthetic(trained_on=used(SHARDS, 0, 1, 2, 3))
    with pytest.raises(CommandError, match="train02-9.tfrec, train03-9.tfrec"):
        without_leaks(unknown, SHARDS, HELD_OUT)
