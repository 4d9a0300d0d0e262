"""Keras layers of our own: one concept a file."""
