"""A page, and on request its pictures and tables as files, for a paper."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipelines.pages.latex import as_latex
from pipelines.pages.page import Picture, Section, Table, anchors, render
from tfrecords_tools.csv_tables import rows_as_csv
from tfrecords_tools.foundation.files import write_atomically
from tfrecords_tools.foundation.texts import in_one_line

FIGURES, TABLES = "figures", "tables"
# Format of a table -> the end of the name of its file, and what makes it of the header and the rows.
_OF_TABLE: dict[str, tuple[str, Callable]] = {
    "csv": ("csv", lambda header, rows: rows_as_csv([header, *rows])),
    "latex": ("tex", as_latex),
}


def write_page(
    page: Path, title: str, sections: Sequence[Section], *, figures: Sequence[str] = (), tables: Sequence[str] = ()
) -> list[str]:
    """Writes a page, and its pictures and tables in folders beside it.

    Arguments:
      page: path of the page.
      title: of the page.
      sections: of the page.
      figures: formats in which every picture is written, of FIGURE_FORMATS.
      tables: formats in which every table is written, of TABLE_FORMATS.

    Returns:
      The names of the files beside the page, with their folder: `figures/SECTION_NUMBER.svg` and so on.
    """
    write_atomically(page, render(title, sections))
    written = []
    for name, content in (*_figures(sections, figures), *_tables(sections, tables)):
        (page.parent / name).parent.mkdir(exist_ok=True)
        write_atomically(page.parent / name, content)
        written.append(name)
    return written


def _figures(sections: Sequence[Section], formats: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    for name, picture in _numbered(sections, Picture):
        for each in formats:
            yield f"{FIGURES}/{name}.{each}", picture.image.file(each)


def _tables(sections: Sequence[Section], formats: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name, table in _numbered(sections, Table):
        header, rows = _shown(table.header), [_shown(row) for row in table.rows]
        for each in formats:
            end, made_of = _OF_TABLE[each]
            yield f"{TABLES}/{name}.{end}", made_of(header, rows)


def _numbered(sections: Sequence[Section], kind: type) -> Iterator[tuple[str, Picture | Table]]:
    """Yields the pictures or tables of sections with their names: the anchor of the section, and a number in it."""
    for anchor, section in zip(anchors([section.title for section in sections]), sections, strict=True):
        for number, item in enumerate(section.all(kind), start=1):
            yield f"{anchor}_{number}", item


def _shown(texts: Sequence[str]) -> list[str]:
    """Returns texts as the page shows them."""
    return [in_one_line(text) for text in texts]
