"""A page of tables and pictures that needs nothing from outside."""

from dataclasses import dataclass
from pathlib import Path

import jinja2


@dataclass(frozen=True)
class Run:
    """A completed folder of a stage."""

    folder: Path
    settings: dict
    report: dict

    @property
    def name(self) -> str:
        """The name of the folder, by which the page calls the run."""
        return self.folder.name


@dataclass(frozen=True)
class Picture:
    """A chart or grid: a data URI, and what it shows in words."""

    uri: str
    caption: str


@dataclass(frozen=True)
class Table:
    """A table of texts."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A part of the page: a title, a sentence, and tables and pictures in order."""

    title: str
    text: str
    items: tuple[Table | Picture, ...]


def render(title: str, sections: list[Section]) -> str:
    """Returns the page; every text is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipelines.pages"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html").render(title=title, sections=sections)


def interval_text(figure: dict, signed: bool = False) -> str:
    """Returns a figure with its 95 % interval as text."""
    sign = "+" if signed else ""
    return f"{figure['value']:{sign}.3f} ({figure['low']:{sign}.3f} to {figure['high']:{sign}.3f})"
