"""The parts of a training that know files: its driver, its batches, the boxes and weights that it starts with."""
