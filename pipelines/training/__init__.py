"""The parts of a training that know files: its data, its checkpoints, its beginning."""
