"""Folders as people have them: what systems leave there, links, other endings, odd names."""

import os
from pathlib import Path

import pytest

from tfrecords_tools.sources import SOURCES, SourceOptions
from tfrecords_tools.sources.listing import is_of_the_system, list_images

OPTIONS = SourceOptions(num_images=100, seed=0)


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"not looked into")


def names(folder: Path) -> list[str]:
    return [file.name for file in list_images(folder, (".png", ".jpg"))]


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "a/._b.png",
        "__MACOSX/a/b.png",
        "a/.ipynb_checkpoints/b-checkpoint.png",
        "a/@eaDir/b.png/SYNOPHOTO_THUMB_S.jpg",
        "a/Thumbs.db",
        "a/desktop.ini",
        "$RECYCLE.BIN/b.png",
        "lost+found/b.png",
    ],
)
def test_hidden_and_system_files_are_left_out_at_every_depth(tmp_path, name):
    put(tmp_path, "a/b.png", "c/d.png", name)
    assert is_of_the_system(name)
    assert names(tmp_path) == ["a/b.png", "c/d.png"]
    assert SOURCES["image_folder"](tmp_path, OPTIONS).classes == ("a", "c")


def test_files_with_other_endings_are_counted(tmp_path, caplog):
    put(tmp_path, "a/b.PNG", "a/c.jp2", "a/d.jp2", "a/e", "a/notes.txt")
    assert names(tmp_path) == ["a/b.PNG"]
    assert all(part in caplog.text for part in ("2 with .jp2", "1 with .txt", "1 with none", str(tmp_path)))


def test_links_are_followed_inside_and_named_where_they_lead_out(tmp_path, caplog):
    folder = tmp_path / "in"
    put(folder, "a/1.png", "b/2.png", "store/more/3.png")
    put(tmp_path, "out/4.png")
    (folder / "a" / "inside").symlink_to(folder / "store" / "more")
    (folder / "b" / "outside").symlink_to(tmp_path / "out")
    (folder / "b" / "round").symlink_to(folder)
    (folder / "b" / "itself.png").symlink_to(folder / "b" / "itself.png")
    (folder / "b" / "gone.png").symlink_to(folder / "gone.png")
    (folder / "b" / "5.png").symlink_to(folder / "a" / "1.png")
    assert names(folder) == ["a/1.png", "a/inside/3.png", "b/2.png", "b/5.png", "store/more/3.png"]
    assert "b/outside" in caplog.text
    assert "a/inside" not in caplog.text


def test_a_name_that_is_not_utf8_is_named_escaped_and_the_rest_goes_on(tmp_path, caplog):
    put(tmp_path, "a/1.png")
    with open(os.fsencode(tmp_path) + b"/a/l\xe9sion.png", "wb") as file:
        file.write(b"not looked into")
    assert names(tmp_path) == ["a/1.png"]
    assert "a/l\\udce9sion.png" in caplog.text
    caplog.text.encode()


def test_a_name_with_control_characters_is_named_and_the_rest_goes_on(tmp_path, caplog):
    """A line feed or carriage return in a name would break the tables that name it."""
    for name in ("a/1.png", "a/2\r.png", "a/3\nb.png", 'a/=1+1,"x".png'):
        put(tmp_path, name)
    assert names(tmp_path) == ["a/1.png", 'a/=1+1,"x".png']
    assert r"a/2\r.png" in caplog.text
    assert r"a/3\nb.png" in caplog.text
