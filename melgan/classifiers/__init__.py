"""Classifiers: backbones, augmentation, auxiliary targets, and the recipe that trains them."""
