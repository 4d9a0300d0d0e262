"""The thorough way to the scores of every arm: networks that are trained end to end, each as a job."""

from pipelines.studying.classifier_jobs import classifier_job, read_scores, write_examples
from pipelines.studying.design import Design
from pipelines.studying.engines import run_jobs
from pipelines.studying.jobs import Job
from pipelines.studying.real_images import RealImages
from pipelines.studying.scores import ArmScores, all_trainings, new_scores, select


def network_scores(design: Design, images: RealImages) -> tuple[dict[str, ArmScores], dict[str, str]]:
    """Trains the networks that are not trained yet.

    Arguments:
      design: of the study, whose generators are complete.
      images: all real images.

    Returns:
      The scores by the name of the arm, and the reasons of the jobs that failed, by their names.
    """
    trainings, jobs = all_trainings(design), classifier_jobs(design, images)
    write_examples(design, images, trainings)
    failed = run_jobs(jobs, design.config, "classifiers")
    scores = new_scores(design, images)
    for training, job in zip(trainings, jobs, strict=True):
        if job.name not in failed:
            predicted = read_scores(design, images, training)
            scores[training.arm.name].enter(training, predicted, select(training, images), images)
    return scores, failed


def classifier_jobs(design: Design, images: RealImages) -> list[Job]:
    """Returns the jobs of all trainings, in their order; for what it raises see `classifier_job`."""
    return [classifier_job(design, images, training) for training in all_trainings(design)]
