"""Files: sources, folds, image bytes, shards, manifests, reading. Free of models; only `reading` imports TensorFlow."""
