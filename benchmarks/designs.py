"""A folder of results holds those of one design; a comparison of another design needs another folder."""

import json
from collections.abc import Mapping
from pathlib import Path

from pipelines.contract.workdir import require_same_settings
from tfrecords_tools.foundation.files import write_atomically


def require_same_design(path: Path, design: Mapping[str, object]) -> None:
    """Writes a design into a file of a folder of results, which is made, unless the same one stands there.

    Raises:
      CommandError: naming what differs, if another one stands there.
    """
    plain = json.loads(json.dumps(design))
    if path.is_file():
        require_same_settings(path, json.loads(path.read_text()), plain)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(plain, indent=1) + "\n")
