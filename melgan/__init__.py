"""Models and mathematics: networks, objectives, trainers, metrics, classifiers; fed with batches and arrays."""

__version__ = "0.1.0"
