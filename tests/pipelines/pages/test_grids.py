"""Grids: every image in its place."""

import numpy as np
from PIL import Image

from pipelines.pages.grids import GRID_ROWS, Column, column_of_class, write_grid
from tfrecords_tools.foundation.files import as_path, read_bytes


def test_every_image_stands_in_its_column_and_row(tmp_path):
    shades = [[10, 60, 110], [160, 210]]
    columns = [np.stack([np.full((64, 64, 3), shade, np.uint8) for shade in column]) for column in shades]
    named = [Column("benign", columns[0]), Column("none", columns[0][:0]), Column("malignant", columns[1])]
    write_grid(tmp_path / "grid.png", named, ["real", "synth."])
    grid = np.asarray(Image.open(tmp_path / "grid.png"))
    for column, expected in enumerate(shades):
        for row, shade in enumerate(expected):
            top, left = 18 + row * 66, 44 + column * 66
            assert (grid[top : top + 64, left : left + 64] == shade).all()
    assert (grid[18 + 2 * 66 :, 44 + 66 :] == 255).all()


def test_a_grid_in_a_bucket_is_the_one_written_here(tmp_path, bucket):
    column = Column("nevus", np.random.default_rng(0).integers(256, size=(2, 64, 64, 3), dtype=np.uint8))
    for folder in (tmp_path, as_path(bucket)):
        write_grid(folder / "grid.png", [column], ["synth.", "synth."])
    assert read_bytes(as_path(bucket) / "grid.png") == (tmp_path / "grid.png").read_bytes()


def test_small_images_are_enlarged_by_whole_factors(tmp_path):
    tile = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(1, 32, 32, 3)
    write_grid(tmp_path / "grid.png", [Column("a class with a very long name", tile)], ["real"])
    grid = np.asarray(Image.open(tmp_path / "grid.png"))
    np.testing.assert_array_equal(grid[18 : 18 + 64 : 2, 44 : 44 + 64 : 2], tile[0])


def test_a_grid_without_images_is_not_written(tmp_path):
    write_grid(tmp_path / "grid.png", [Column("nevus", np.zeros((0, 8, 8, 3), np.uint8))])
    write_grid(tmp_path / "grid.png", [])
    assert not (tmp_path / "grid.png").exists()


def test_columns_on_their_side_run_from_left_to_right(tmp_path):
    columns = [
        Column("benign", np.full((3, 64, 64, 3), 10, np.uint8)),
        Column("b", np.full((2, 64, 64, 3), 60, np.uint8)),
    ]
    write_grid(tmp_path / "grid.png", columns, ["real", "synthetic", "synthetic"], across=True)
    grid = np.asarray(Image.open(tmp_path / "grid.png"))
    assert grid.shape[:2] == (18 + 2 * 66, 44 + 3 * 66)
    for row, (shade, count) in enumerate(((10, 3), (60, 2))):
        line = grid[18 + row * 66 + 30, 44:, 0]
        assert (line == shade).sum() == count * 64
    write_grid(tmp_path / "plain.png", columns, across=True)
    assert Image.open(tmp_path / "plain.png").size == (44 + 3 * 66, 2 * 66)


def test_a_column_of_a_class_has_its_first_images():
    labels = np.arange(30) % 3
    images = np.arange(30, dtype=np.uint8).reshape(30, 1, 1, 1).repeat(3, axis=3)
    column = column_of_class("ring", images, labels, 1)
    assert column.name == "ring"
    assert column.images[:, 0, 0, 0].tolist() == list(range(1, 30, 3))[:GRID_ROWS]


def test_a_name_may_hold_any_letters(tmp_path):
    tile = np.zeros((1, 64, 64, 3), np.uint8)
    for number, name in enumerate(("Läsion", "黒色腫 😀", "\u202eab", "a\nb\x1b[31m", "$x$", "_", "y" * 250)):
        write_grid(tmp_path / f"{number}.png", [Column(name, tile)], [name])
        width, height = Image.open(tmp_path / f"{number}.png").size
        assert 44 + 66 <= width <= 120 + 66
        assert height == 18 + 66
    blank = Image.open(tmp_path / "0.png").crop((44, 0, 110, 18))
    assert blank.getextrema()[0][0] < 128  # the name is there
