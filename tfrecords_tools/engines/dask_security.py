"""Certificates for a Dask cluster, from the settings that Dask's own commands read."""

from pathlib import Path
from typing import TYPE_CHECKING

from tfrecords_tools.foundation.errors import DataError

if TYPE_CHECKING:
    from distributed import Security

_FIELDS = {"tls_ca_file": "ca-file", "tls_client_cert": "client.cert", "tls_client_key": "client.key"}


def read_security(file: str) -> "Security":
    """Returns what a client needs to talk to a cluster by TLS, and never without.

    Arguments:
      file: settings of Dask in YAML, as the environment variable DASK_CONFIG names them for `dask scheduler`.

    Raises:
      DataError: if the file, or one that it names, is missing or cannot be used.
    """
    import dask  # noqa: PLC0415  an extra
    from distributed import Security  # noqa: PLC0415

    place = f"--scheduler_security={file}"
    _require_file("--scheduler_security", file)
    try:
        settings = dask.config.merge(dask.config.config, *dask.config.collect_yaml([file]))
        with dask.config.set(settings):
            security = Security(require_encryption=True)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise DataError(f"{place}: these are no settings of Dask ({_first_line(error)})") from error
    for field, name in _FIELDS.items():
        _require_file(f"{place}: distributed.comm.tls.{name}", getattr(security, field))
    try:
        security.get_connection_args("client")
    except (OSError, ValueError) as error:
        raise DataError(f"{place}: its certificates cannot be used ({_first_line(error)})") from error
    return security


def _require_file(place: str, path: object) -> None:
    if not (isinstance(path, str) and Path(path).is_file()):
        raise DataError(f"{place} is {path!r}; it must be a file of this machine, see docs/shards.md")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
