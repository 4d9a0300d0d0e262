"""Models and mathematics: networks, objectives, trainers, metrics, classifiers; fed with batches and arrays."""
