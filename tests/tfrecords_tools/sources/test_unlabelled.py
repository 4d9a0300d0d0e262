"""Images without labels: those of a folder, and those that tables name in many ways."""

import pytest

from tests.tfrecords_tools.tiny_shards import encoded, plain
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import MISSING_SIZE
from tfrecords_tools.foundation.metadata import MISSING
from tfrecords_tools.planning import plan_unlabelled
from tfrecords_tools.sources.unlabelled import list_folder, one_image, read_named_images


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "images"
    for name in ("a/1.jpg", "a/2.png", "b/1.jpg", "b/Three.JPG", "b/4.webp"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(plain(7)))
    return root


def table(tmp_path, text: str):
    (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    return tmp_path / "table.csv"


def test_a_folder_gives_its_images_by_their_paths(folder):
    (folder / ".hidden.jpg").write_bytes(b"x")
    (folder / "notes.txt").write_text("x")
    found = list_folder(folder)
    assert found["image_name"].tolist() == ["a/1.jpg", "a/2.png", "b/1.jpg", "b/4.webp", "b/Three.JPG"]
    assert found["file"].tolist() == found["image_name"].tolist()
    assert one_image(folder / "a" / "2.png")["image_name"].tolist() == ["2.png"]


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_that_is_not_there_or_has_no_image_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=f"{tmp_path}/{name}: "):
        list_folder(tmp_path / name)


def test_a_table_names_images_by_their_paths_or_names_with_or_without_ending(tmp_path, folder):
    names = ["2", "a/1", "b/1.jpg", "three.jpg", "4.webp", str(folder / "a" / "2.png")]
    found = read_named_images(table(tmp_path, "\n".join(["Path", *names])), folder)
    assert found["file"].tolist() == ["a/2.png", "a/1.jpg", "b/1.jpg", "b/Three.JPG", "b/4.webp", "a/2.png"]


def test_metadata_of_a_table_become_the_codes_of_shards(tmp_path, folder):
    text = "image_name,sex,Age_Approx,anatom_site_general_challenge,target\n2,female,44.6,torso,1\nThree,,,,0\n"
    plan = plan_unlabelled(read_named_images(table(tmp_path, text), folder), num_shards=5)
    rows = [row for shard in plan.shards for row in plan.rows(shard)]
    assert [shard.split for shard in plan.shards] == ["test", "test"]
    assert [row.file for row in rows] == ["a/2.png", "b/Three.JPG"]
    known = [(row.fields["sex"], row.fields["age_approx"], row.fields["anatom_site_general_challenge"]) for row in rows]
    assert known == [(1, 45, 3), (MISSING, MISSING, MISSING)]
    assert {row.fields["target"] for row in rows} == {MISSING}


def test_images_without_a_file_stay_in_the_table_to_be_told(tmp_path, folder):
    found = read_named_images(table(tmp_path, "image_name\n2\nnowhere\n"), folder)
    assert found["size"].tolist()[1] == MISSING_SIZE


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("image_name\n1\n", "a/1.jpg or b/1.jpg"),
        ("image_name\nx\ny\n", "0 of its 2 images"),
        ("image_name\n", "no row"),
        ("name,age\n2,3\n", "no column image_name"),
        ("image_name;age\n2;3\n", "';'"),
        ("image_name\n2\n2.png\n", "more than one row"),
    ],
)
def test_tables_that_cannot_be_understood_are_refused_by_their_name(tmp_path, folder, text, named):
    with pytest.raises(DataError, match=f"^{tmp_path}/table.csv: .*{named}"):
        read_named_images(table(tmp_path, text), folder)
