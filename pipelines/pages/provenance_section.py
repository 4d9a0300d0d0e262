"""The section of a page on what its runs were made from, with which versions."""

import json
from collections.abc import Sequence

from pipelines.contract.workdir import digest, read_facts, read_raw_settings
from pipelines.pages.page import Section, Table
from tfrecords_tools.foundation.files import AnyPath


def provenance_section(folders: Sequence[AnyPath]) -> Section:
    """Returns command, duration, digest and settings of each run."""
    facts = {folder: read_facts(folder) for folder in folders}
    rows = tuple((folder.name, own.command, f"{own.seconds:g}", digest(folder)[:16]) for folder, own in facts.items())
    settings = tuple((folder.name, json.dumps(read_raw_settings(folder))) for folder in folders)
    versions = {name: version for own in facts.values() for name, version in own.versions.items()}
    return Section(
        "Provenance",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        (Table(("run", "command", "seconds", "digest"), rows), Table(("run", "settings"), settings)),
    )
