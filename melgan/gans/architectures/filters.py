"""Numbers of filters."""


def scaled_filters(filters: int, width: float) -> int:
    """Returns a number of filters scaled by `width`, at least 4."""
    return max(4, round(filters * width))
