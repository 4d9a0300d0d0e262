"""The section of a page on synthetic images."""

from pathlib import Path

from pipelines.artefacts.seen import SEEN_IS, describe_ancestors
from pipelines.artefacts.synthetic_run import GRID_FILE, SyntheticReport
from pipelines.pages.page import Item, Picture, Section, Table, sentences
from pipelines.pages.rasters import read_raster
from tfrecords_tools.provenance import SyntheticProvenance


def synthetic_section(folder: Path, report: SyntheticReport) -> Section:
    """Returns counts and a grid of the images."""
    counts = [(name, str(count)) for name, count in zip(report.classes, report.class_counts, strict=True) if count]
    items: list[Item] = [Table(("class", "synthetic images"), tuple(counts))]
    if (folder / GRID_FILE).is_file():
        items.append(Picture(read_raster(folder / GRID_FILE), "The first synthetic images of each class"))
    made_by = report.provenance
    text = f"Drawn with seed {made_by.seed} by generator {made_by.generator[:12]} ({made_by.method})."
    text = sentences(text, SEEN_IS[made_by.seen_is], describe_ancestors(made_by.seen), _origin(made_by))
    return Section("Synthetic images", text, tuple(items))


def _origin(made_by: SyntheticProvenance) -> str:
    """Returns a sentence on the real images that synthetic ones were made from; empty without any."""
    if not made_by.made_from:
        return ""
    near = "" if made_by.near_source is None else f"; {made_by.near_source:.0%} lie suspiciously near to theirs"
    return f"Each image was made from real images, of which it shows something: the set is not anonymous{near}."
