"""Work that is due at every checkpoint of a training."""
