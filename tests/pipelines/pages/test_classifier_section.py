"""The section on a classifier: its most certain images, or why there are none."""

import io
from dataclasses import replace

import pytest
from PIL import Image

from pipelines.artefacts.classifier_run import ClassifierRun, read_classifier_run
from pipelines.artefacts.comparisons import out_of_fold
from pipelines.pages.classifier_section import classifier_section
from pipelines.pages.page import Picture, Section, Table

pytestmark = pytest.mark.slow


@pytest.fixture
def run(classifier) -> ClassifierRun:
    return read_classifier_run(classifier)


def images_of(section: Section) -> list[Image.Image]:
    rasters = [picture.image for picture in section.all(Picture) if not picture.is_chart]
    return [Image.open(io.BytesIO(raster.png)) for raster in rasters]


def errors_of(section: Section) -> list[tuple[str, ...]]:
    return [row for table in section.all(Table) if table.header[0] == "image" for row in table.rows]


def test_the_most_certain_errors_are_named_and_shown_beside_hits(run):
    section, predictions = classifier_section(run), out_of_fold(run)
    errors = errors_of(section)
    predicted = predictions[["probability benign", "probability malignant"]].to_numpy().argmax(axis=1)
    wrong = predictions[predicted != predictions["label"].to_numpy()]
    assert len(errors) == min(8, len(wrong))
    assert {row[0] for row in errors} <= set(wrong["image_name"])
    assert all(row[1] != row[2] and float(row[3]) >= 0.5 for row in errors)
    pictures = images_of(section)
    assert len(pictures) == 2
    assert all(picture.width > 800 for picture in pictures)
    assert "no pictures" not in section.text


def test_without_the_shards_a_sentence_tells_why_there_are_no_pictures(run):
    moved = replace(run, report=replace(run.report, shards="/nowhere/shards"))
    section = classifier_section(moved)
    assert images_of(section) == []
    assert errors_of(section) == errors_of(classifier_section(run))
    assert "/nowhere/shards" in section.text
