"""Generative adversarial networks that are conditional on a class."""
