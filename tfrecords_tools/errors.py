"""The one exception for what a user can repair in the data."""


class DataError(ValueError):
    """Input files or shards that cannot be used; the message names the place, the value and the remedy."""
