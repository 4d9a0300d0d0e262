"""A page: whatever users call their classes and folders, it is text there."""

from html.parser import HTMLParser

from pipelines.pages.page import Picture, Section, Table, render

NAMES = (
    "<script>alert(1)</script>",
    "'\"><img src=x onerror=alert(1)>",
    "&amp;",
    "{{ 7 * 7 }}",
    "$x$",
    "\u202eabc",
    "\x1b",
)


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


def _render(names) -> str:
    items = (Table(("class", names[0]), tuple((name, "1") for name in names)), Picture("data:,", names[1]))
    return render(names[0], [Section(f"Data: {name}", name, items) for name in names])
