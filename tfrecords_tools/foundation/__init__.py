"""The cellar under all packages: settings, errors, files, locks. Nothing here imports TensorFlow."""
