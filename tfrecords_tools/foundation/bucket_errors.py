"""Errors of Google Cloud Storage as one line each, with the remedy."""

import contextlib
from collections.abc import Iterator

from tfrecords_tools.foundation.errors import DataError, MissingFileError

_LOG_IN = "log in with `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to a key file"


@contextlib.contextmanager
def one_line_errors(path: str) -> Iterator[None]:
    """Turns an error of a bucket, after gcsfs has tried again, into one line.

    Raises:
      MissingFileError: for a file that it does not have.
      DataError: for everything else that it refuses.
    """
    import aiohttp  # noqa: PLC0415
    from gcsfs.retry import HttpError  # noqa: PLC0415
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

    try:
        yield
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: no such file or bucket; check the name") from error
    except GoogleAuthError as error:
        raise DataError(f"{path}: no credentials ({error}); {_LOG_IN}") from error
    except HttpError as error:
        remedy = _LOG_IN if error.code == 401 else "try again later; the same command resumes where it stopped"
        raise DataError(
            f"{path}: Google Cloud Storage answered {error.code} ({_first_line(error)}); {remedy}"
        ) from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        if str(error).startswith("Forbidden"):  # as gcsfs words a 403
            raise DataError(f"{path}: Google Cloud Storage answered 403 ({_last_line(error)}); {_LOG_IN}") from error
        raise DataError(
            f"{path}: Google Cloud Storage cannot be reached ({_first_line(error)}); "
            "the same command resumes where it stopped"
        ) from error


def _last_line(error: Exception) -> str:
    return str(error).splitlines()[-1][:200]


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
