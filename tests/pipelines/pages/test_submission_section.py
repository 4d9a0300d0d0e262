"""What the section on a submission says of the models that were combined."""

import pytest

from melgan.metrics.intervals import Interval
from pipelines.artefacts.submission import Member, SubmissionReport
from pipelines.pages.submission_section import submission_section

REPORT = {"rows": 2, "label": "melanoma", "models": 5, "runs": {}}
MEMBERS = (
    Member(name="real", path="/real", predictions="predictions_1_real.csv", networks=5, weight=0.25, temperature=1.5),
    Member(name="=1+1", path="/a.csv", predictions="predictions_2__1_1.csv", networks=0, weight=0.75),
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "submission.csv").write_text("image_name,target\na,0.25\nb,0.75\n")
    return tmp_path


def test_a_report_of_an_earlier_version_has_no_models(folder):
    section = submission_section(folder, SubmissionReport(**REPORT))
    assert section.text == "Probability of melanoma."
    assert len(section.items) == 1


def test_models_stand_with_their_weights_temperatures_and_files(folder):
    section = submission_section(folder, SubmissionReport(**REPORT, ensemble="weighted", members=MEMBERS, prior="real"))
    assert "weighted" in section.text
    assert "real images" in section.text
    assert section.items[1].rows == (
        ("real", "5", "0.25", "1.5", "predictions_1_real.csv"),
        ("=1+1", "CSV", "0.75", "1", "predictions_2__1_1.csv"),
    )


def test_the_gain_of_fitted_weights_is_told_with_its_interval(folder):
    report = SubmissionReport(**REPORT, ensemble="fitted", members=MEMBERS, gain=Interval(0.004, -0.002, 0.01))
    assert "+0.004 (-0.002 to +0.010)" in submission_section(folder, report).text


def test_csv_files_alone_have_no_class(folder):
    section = submission_section(folder, SubmissionReport(**{**REPORT, "label": ""}, members=MEMBERS))
    assert not section.text.startswith("Probability")
