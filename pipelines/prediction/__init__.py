"""What makes predictions of new images: how they are read, stored as the run's shards are, and predicted."""
