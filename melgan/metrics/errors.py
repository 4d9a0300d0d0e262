"""The exception of a metric that cannot be computed."""


class MetricUnavailable(ValueError):
    """A metric that these images do not allow; the message says why. Other metrics may be possible."""
