"""A page: whatever users call their classes and folders, it is text there."""

from html.parser import HTMLParser

from pipelines.pages.charts import stacked_bars
from pipelines.pages.page import Details, Picture, Section, Table, anchors, named, render

NAMES = (
    "<script>alert(1)</script>",
    "'\"><img src=x onerror=alert(1)>",
    "&amp;",
    "{{ 7 * 7 }}",
    "$x$",
    "\u202eabc",
    "\x1b",
)

CHART = stacked_bars([0], {"a": [1]}, "shard")


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.cells = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.cells.append(data.strip())


def test_names_are_shown_as_they_are_and_do_nothing():
    plain = _Page(_render(["a"] * len(NAMES)))
    page = _Page(_render(NAMES))
    assert page.tags == plain.tags
    assert [name for name, _ in page.attributes] == [name for name, _ in plain.attributes]
    assert set(NAMES[:5]) <= set(page.cells)
    assert ("alt", NAMES[1]) in page.attributes


def test_marks_that_turn_what_follows_are_shown_as_escapes():
    text = _render(NAMES)
    assert r"\u202eabc" in text
    assert not {"\u202e", "\x1b"} & set(text)


def test_anchors_are_plain_letters_and_no_two_are_alike():
    titles = ["Classifier: a/run", "Classifier: a run", "Läsion <x>", "黒色腫", "腫", "x" * 300]
    found = anchors(titles)
    assert found == ["classifier-a-run", "classifier-a-run-2", "l-sion-x", "section", "section-2", "x" * 50]


def test_a_title_names_the_run_unless_it_says_so_already():
    assert named(Section("Classifier", "", ()), "a/run").title == "Classifier: a/run"
    assert named(Section("Evaluation", "", ()), "evaluation").title == "Evaluation"
    assert named(Section("Synthetic images", "", ()), "synthetic").title == "Synthetic images"


def test_what_is_in_details_is_on_the_page_and_found():
    inner = (Table(("setting", "value"), (("seed", "7"),)), Picture(CHART, "within"))
    section = Section("a", "", (Details("All <b>", inner, "how to read"), Picture(CHART, "outside")))
    assert [picture.caption for picture in section.all(Picture)] == ["within", "outside"]
    page = _Page(render("title", [section]))
    assert {"All <b>", "how to read", "seed", "7"} <= set(page.cells)
    assert page.tags.count("details") == 1
    assert page.tags.count("img") == 2


def test_every_cell_of_a_wide_table_names_its_column_for_narrow_screens():
    page = _Page(render("title", [Section("a", "", (Table(("run", "AUC", "images"), (("real", "0.9", "12"),)),))]))
    assert [value for name, value in page.attributes if name == "data-label"] == ["AUC", "images"]


def test_there_is_no_script_and_none_would_run():
    page = _Page(_render(NAMES))
    assert "script" not in page.tags
    (policy,) = [value for name, value in page.attributes if name == "content" and "default-src" in value]
    assert policy.split(";")[0] == "default-src 'none'"
    assert "http" not in policy


def _render(names) -> str:
    items = (Table(("class", names[0]), tuple((name, "1") for name in names)), Picture(CHART, names[1]))
    return render(names[0], [Section(f"Data: {name}", name, items) for name in names])
