"""The files beside a page: every picture and every table, named by its section."""

import csv
import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from pipelines.contract.shared_settings import FIGURE_FORMATS, TABLE_FORMATS
from pipelines.pages.charts import forest, ratio_curves
from pipelines.pages.page import Details, Picture, Section, Table
from pipelines.pages.page_files import write_page
from pipelines.pages.rasters import Raster
from tfrecords_tools.foundation.errors import ConfigError


def raster() -> Raster:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)).save(buffer, "PNG")
    return Raster(buffer.getvalue())


def sections() -> list[Section]:
    rows = forest({"arms": {"gan 1": (0.01, -0.01, 0.03)}}, "difference", colours={"arms": "#112233"}, margin=0.01)
    curve = ratio_curves(
        {"gan": {1.0: (0.0, -0.1, 0.1)}},
        {"real": 0.1},
        colours={"gan": "#445566"},
        x_label="ratio",
        y_label="difference",
    )
    table = Table(("a_b", "=1+1"), (("50 %", "-0.3"), ("=x", "+0.1 (0 to 1)"), ("\x1b", "{&}")))
    return [
        Section("Differences", "", (Picture(rows, "rows"), table, Details("more", (Picture(curve, "curve"), table)))),
        Section("Of each/class", "", (Picture(raster(), "a grid"), Picture(curve, "curve"))),
    ]


def write(folder, **formats) -> list[str]:
    folder.mkdir(exist_ok=True)
    return write_page(folder / "page.html", "title", sections(), **formats)


def test_every_picture_is_a_file_of_both_formats_named_by_its_section(tmp_path):
    written = write(tmp_path, figures=FIGURE_FORMATS)
    names = ("differences_1", "differences_2", "of-each-class_1", "of-each-class_2")
    assert written == [f"figures/{name}.{kind}" for name in names for kind in ("svg", "pdf")]
    assert sorted(file.name for file in (tmp_path / "figures").iterdir()) == sorted(name[8:] for name in written)
    for name in names:
        assert ElementTree.parse(tmp_path / "figures" / f"{name}.svg").getroot().tag.endswith("svg")
        assert (tmp_path / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_nothing_is_written_beside_a_page_unless_asked_for(tmp_path):
    assert write(tmp_path) == []
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_equal_pages_have_files_of_equal_bytes(tmp_path):
    for folder in ("first", "second"):
        written = write(tmp_path / folder, figures=FIGURE_FORMATS, tables=TABLE_FORMATS)
    for name in written:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_every_table_is_a_file_without_formulas_also_those_in_details(tmp_path):
    assert write(tmp_path, tables=("csv",)) == ["tables/differences_1.csv", "tables/differences_2.csv"]
    with open(tmp_path / "tables" / "differences_2.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["a_b", "'=1+1"], ["50 %", "-0.3"], ["'=x", "'+0.1 (0 to 1)"], [r"\x1b", "{&}"]]


def test_latex_shows_every_text_to_the_letter(tmp_path):
    (name, _) = write(tmp_path, tables=("latex",))
    assert name == "tables/differences_1.tex"
    lines = (tmp_path / name).read_text().splitlines()
    assert lines[:4] == [r"\begin{tabular}{ll}", r"\toprule", r"a\_b & =1+1 \\", r"\midrule"]
    assert lines[4:6] == [r"50 \% & -0.3 \\", r"=x & +0.1 (0 to 1) \\"]
    assert lines[6] == r"\textbackslash x1b & \{\&\} \\"
    assert lines[7:] == [r"\bottomrule", r"\end{tabular}"]


def test_a_grid_keeps_its_pixels_in_a_file_of_vectors():
    root = ElementTree.fromstring(raster().file("svg"))
    assert (root.get("width"), root.get("height")) == ("4.5pt", "3pt")  # 96 pixels an inch
    (image,) = root.iter("{http://www.w3.org/2000/svg}image")
    href = image.get("{http://www.w3.org/1999/xlink}href")
    assert href.startswith("data:image/png;base64,")
    assert raster().width == 6


def test_unknown_formats_are_refused():
    from pipelines.report import ReportConfig

    for wrong in ({"figures": ("png",)}, {"tables": ("xls",)}):
        with pytest.raises(ConfigError):
            ReportConfig(runs=("a",), output="b", **wrong)
