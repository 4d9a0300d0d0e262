"""A page in a real browser: on a phone and on a desk, light and dark, enlarged, and on paper."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from melgan.metrics.intervals import Interval
from pipelines.pages.charts import stacked_bars
from pipelines.pages.page import Details, Picture, Section, Table, interval_text, render
from pipelines.pages.rasters import Raster
from tests.pipelines.pages.browser import DARK, LIGHT, browse, measured, needs_browser

pytestmark = [needs_browser, pytest.mark.slow]

PHONE, DESK = 390, 1200
AREA = interval_text(Interval(0.5, 0.25, 0.75))
_FIND = f"""
const cell = [...page.querySelectorAll("#result td")].find(cell => cell.textContent === "{AREA}");
const at = cell.getBoundingClientRect(), body = page.body;
const style = of => view.getComputedStyle(of);
return {{
  overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
  width: view.innerWidth, left: at.left, right: at.right, bottom: at.bottom,
  ground: style(body).backgroundColor, ink: style(body).color,
  chart: style(page.querySelector(".chart img")).filter, photo: style(page.querySelector(".photo img")).filter,
  headers: style(page.querySelector("#result thead")).position,
  drawn: [...page.images].every(image => image.naturalWidth > 0), images: page.images.length,
}};
"""
_ENLARGE = """
const image = page.querySelector(".photo img"), stage = image.parentElement;
const seen = () => [view.getComputedStyle(stage).position, image.getBoundingClientRect().width];
const before = seen(); stage.click(); const during = seen(); stage.click(); const after = seen();
return { before, during, after };
"""


def photo(width: int) -> Raster:
    buffer = io.BytesIO()
    Image.fromarray(np.full((64, width, 3), 128, np.uint8)).save(buffer, "PNG")
    return Raster(buffer.getvalue())


def page(metrics: int = 300) -> str:
    header = ("classifier", "AUC, mean of the folds (95 % interval)", "synthetic images", "images", "network")
    table = Table(header, tuple((f"run_{number}", AREA, "10%", "505", "small_cnn") for number in range(3)))
    chart = Picture(stacked_bars([0, 1], {"a": [1, 2], "b": [3, 4]}, "shard"), "a chart")
    many = Table(
        ("metric", *(f"class {number}" for number in range(12))), (("KID", *(["0.1 (0.05 to 0.2)"] * 12)),) * metrics
    )
    sections = [
        Section("Result", "A verdict. " * 20, (table, chart)),
        *(
            Section(f"Classifier: {'long_name_' * 9}{number}", "", (Picture(photo(900), "a grid"),))
            for number in range(9)
        ),
        Section("Evaluation", "", (Details("All metrics", (many,), "w" * 300),)),
    ]
    return render("title", sections)


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("browser")
    sizes = [(width, scheme) for width in (PHONE, DESK) for scheme in (LIGHT, DARK)]
    return {size: measured(folder, page(), _FIND, width=size[0], scheme=size[1]) for size in sizes}


def brightness(colour: str) -> int:
    return sum(map(int, re.findall(r"\d+", colour)[:3]))


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("scheme", [LIGHT, DARK])
def test_nothing_is_wider_than_the_screen_and_all_pictures_are_drawn(found, width, scheme):
    seen = found[width, scheme]
    assert seen["width"] == width
    assert seen["overflow"] == 0
    assert seen["images"] == 10
    assert seen["drawn"]


def test_the_area_of_a_classifier_is_in_sight_on_a_phone_and_is_a_column_on_a_desk(found):
    phone, desk = found[PHONE, LIGHT], found[DESK, LIGHT]
    assert 0 <= phone["left"] < phone["right"] <= PHONE
    assert phone["bottom"] < 844
    assert (phone["headers"], desk["headers"]) == ("absolute", "static")


def test_dark_is_light_ink_on_a_dark_ground_also_in_charts_but_not_in_photos(found):
    light, dark = found[PHONE, LIGHT], found[PHONE, DARK]
    assert brightness(light["ground"]) == 3 * 255
    assert brightness(dark["ground"]) < 100 < 600 < brightness(dark["ink"])
    assert light["chart"] == light["photo"] == dark["photo"] == "none"
    assert "invert" in dark["chart"]


def test_a_click_enlarges_a_picture_and_another_closes_it(tmp_path):
    seen = measured(tmp_path, page(), _ENLARGE, width=PHONE)
    assert seen["before"] == seen["after"]
    assert seen["before"][0] != "fixed"
    assert seen["during"][0] == "fixed"
    assert seen["during"][1] >= 900 > seen["before"][1]


def printed_pages(folder, text: str, scheme: int) -> int:
    """How many pages a page has on paper."""
    source, paper = folder / "page.html", folder / "paper.pdf"
    source.write_text(text)
    browse(folder, source, f"--print-to-pdf={paper}", f"--blink-settings=preferredColorScheme={scheme}")
    return len(re.findall(rb"/Type /Page\b", paper.read_bytes()))


def test_paper_has_what_is_in_details_whatever_scheme_a_reader_prefers(tmp_path):
    in_light, in_dark = (printed_pages(tmp_path, page(), scheme) for scheme in (LIGHT, DARK))
    without = printed_pages(tmp_path, page(metrics=1), LIGHT)
    assert in_light == in_dark >= without + 3  # 300 rows
