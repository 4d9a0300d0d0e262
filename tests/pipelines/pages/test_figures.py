from xml.etree import ElementTree

from pipelines.pages.charts import forest, ratio_curves
from pipelines.pages.figures import write_figures
from pipelines.pages.page import Picture, Section, Table


def sections() -> list[Section]:
    rows = forest({"arms": {"gan 1": (0.01, -0.01, 0.03)}}, "difference", 0.01)
    curve = ratio_curves({"gan": {1.0: (0.0, -0.1, 0.1)}}, {"real": 0.1}, "ratio", "difference")
    grid = Picture("data:image/png;base64,", "a grid")
    return [
        Section("Differences", "", (Picture(rows, "rows"), Table(("a",), ()), Picture(curve, "curve"))),
        Section("Of each/class", "", (grid, Picture(curve, "curve"))),
    ]


def test_every_chart_is_a_file_of_both_formats_named_by_its_section(tmp_path):
    written = write_figures(tmp_path / "figures", sections())
    names = ("differences", "differences_2", "of_each_class")
    assert written == [f"{name}.{kind}" for name in names for kind in ("svg", "pdf")]
    assert sorted(file.name for file in (tmp_path / "figures").iterdir()) == sorted(written)
    for name in names:
        assert ElementTree.parse(tmp_path / "figures" / f"{name}.svg").getroot().tag.endswith("svg")
        assert (tmp_path / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_equal_charts_have_equal_bytes(tmp_path):
    for folder in ("first", "second"):
        write_figures(tmp_path / folder, sections())
    for file in (tmp_path / "first").iterdir():
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes()
