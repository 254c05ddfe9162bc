"""Where a data set's files are looked up, and where its memory maps live."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

VARIABLE = "ASSAY_DATA"


def raw_folder(name: str) -> Path:
    """The folder of a data set's raw files: found here when they are there, fetched to here when not.

    ``<ASSAY_DATA>/<name>`` where that variable names a folder, else ``data/<name>`` in the user's cache.
    """
    named = os.environ.get(VARIABLE, "")
    base = Path(named).expanduser().absolute() if named else _cache() / "data"
    return base / name


def arrays_folder(content: str) -> Path:
    """The folder of the memory maps made from one content (a SHA-256), always in the user's cache."""
    return _cache() / "arrays" / content


def bases_folder() -> Path:
    """The folder of pretrained weights as arrays of ours, made from files and runs; always in the user's cache."""
    return _cache() / "bases"


def features_folder() -> Path:
    """The folder of what frozen bases put out, made once; always in the user's cache."""
    return _cache() / "features"


def source_note(key: str) -> Path:
    """What is noted about a user's files that were read before: the content that they held."""
    return _cache() / "sources" / f"{key}.json"


def lock_file(purpose: str, name: str) -> Path:
    """The lock of one data set for one purpose; apart from the data, whose folders stay as the user made them."""
    return _cache() / "locks" / f"{purpose}-{name}.lock"


def _cache() -> Path:
    return Path(platformdirs.user_cache_dir("assay"))
