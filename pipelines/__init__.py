"""The commands: flags -> frozen config -> one call -> artefacts and report. A command never knows another."""

import os

# Before TensorFlow is imported anywhere: its C++ chatter is no news to a user.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# TensorFlow uses oneDNN by itself only on processors with AVX-512; on others a training step takes three times as long.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
