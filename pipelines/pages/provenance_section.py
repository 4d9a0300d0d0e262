"""The section of a page on what its runs were made from, with which versions."""

import json
from collections.abc import Mapping

from pipelines.contract.workdir import digest, read_facts, read_raw_settings
from pipelines.pages.page import Details, Section, Table
from tfrecords_tools.foundation.files import AnyPath


def provenance_section(names: Mapping[AnyPath, str]) -> Section:
    """Returns command, duration, digest and settings of each run; `names`: folder -> what the page calls it."""
    facts = {folder: read_facts(folder) for folder in names}
    rows = tuple((names[folder], own.command, f"{own.seconds:g}", digest(folder)[:16]) for folder, own in facts.items())
    versions = {name: version for own in facts.values() for name, version in own.versions.items()}
    return Section(
        "Provenance",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        (
            Table(("run", "command", "seconds", "digest"), rows),
            *(Details(f"Settings of {name}", (_settings(folder),)) for folder, name in names.items()),
        ),
    )


def _settings(folder: AnyPath) -> Table:
    rows = ((name, _text(value)) for name, value in read_raw_settings(folder).items())
    return Table(("setting", "value"), tuple(rows))


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
