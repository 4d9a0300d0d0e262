"""Inputs: how their paths are written down, and which of a setting's paths each is."""

import os

import pytest

from pipelines.contract.inputs import as_stored, is_of_setting, is_path, path_of

HERE = os.getcwd()
WORDS = ("none", "imagenet")


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("runs/shards", f"{HERE}/runs/shards"),
        ("/data/a:b/shards", "/data/a:b/shards"),
        ("../shards", f"{os.path.dirname(HERE)}/shards"),
        ("gs://bucket/shards", "gs://bucket/shards"),
        ("imagenet", "imagenet"),
        ("", ""),
        (None, ""),
        ("shards", f"{HERE}/shards"),
        ("SYNTHETIC_{fold}", f"{HERE}/SYNTHETIC_{{fold}}"),
        ("classifier:runs/real", f"classifier:{HERE}/runs/real"),
        ("classifier:gs://bucket/real", "classifier:gs://bucket/real"),
        ("runs/synthetic{fold}", f"{HERE}/runs/synthetic{{fold}}"),
        (("runs/a", "/b"), [f"{HERE}/runs/a", "/b"]),
    ],
)
def test_paths_are_written_down_absolute_and_words_as_they_are(value, stored):
    assert as_stored(value, WORDS) == stored
    assert as_stored(stored, WORDS) == stored


def test_a_word_is_no_path_even_if_a_folder_has_its_name(tmp_path, monkeypatch):
    (tmp_path / "imagenet").mkdir()
    monkeypatch.chdir(tmp_path)
    assert as_stored("imagenet", WORDS) == "imagenet"


def test_words_are_no_paths():
    assert is_path("/data/shards")
    assert is_path("gs://bucket/shards")
    assert is_path(["/a", "/b"])
    assert not any(map(is_path, ["imagenet", "", [], ["/a", "none"]]))


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [
        ("shards", "/shards", "/shards"),
        ("runs, 2", ["/a", "/b"], "/b"),
        ("runs, 3", ["/a", "/b"], ""),
        ("synthetic of fold 3, 1", ["/synthetic{fold}"], "/synthetic3"),
        ("features", "classifier:/run", "/run"),
        ("features", "classifier:gs://bucket/run", "gs://bucket/run"),
        ("shards", "gs://bucket/shards", "gs://bucket/shards"),
    ],
)
def test_an_input_is_one_of_the_paths_of_its_setting(name, value, path):
    assert path_of(name, value) == path
    assert is_of_setting(name, name.split()[0].rstrip(","))
    assert not is_of_setting(name, "synthetic_fraction")
