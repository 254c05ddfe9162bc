"""Where a data set's files are looked up, and where its memory maps live."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

VARIABLE = "ASSAY_DATA"
CACHE_VARIABLE = "ASSAY_CACHE"


def raw_folder(name: str) -> Path:
    """The folder in which a data set's raw files are looked up, and to which they are downloaded.

    ``<ASSAY_DATA>/<name>`` where that variable names a folder, else ``data/<name>`` in the user's cache.
    """
    named = os.environ.get(VARIABLE, "")
    base = Path(named).expanduser().absolute() if named else _cache() / "data"
    return base / name


def arrays_folder(content: str) -> Path:
    """The folder of the memory maps of one content (a SHA-256), always in the cache."""
    return _cache() / "arrays" / content


def bases_folder() -> Path:
    """The folder of pretrained weights converted to arrays, from files and runs; always in the cache."""
    return _cache() / "bases"


def features_folder() -> Path:
    """The folder of frozen bases' outputs (features), computed once; always in the cache."""
    return _cache() / "features"


def source_note(key: str) -> Path:
    """What is noted about a user's files that were read before: the content that they held."""
    return _cache() / "sources" / f"{key}.json"


def reading_folder() -> Path:
    """The folder of files without a name that hold many images while they are read; always in the cache."""
    return _cache() / "reading"


def lock_file(purpose: str, name: str) -> Path:
    """The lock file of one data set for one purpose, outside the user's own data folders."""
    return _cache() / "locks" / f"{purpose}-{name}.lock"


def unpacked_folder() -> Path:
    """The folder in which archives are unpacked while they are read, where they cannot be read as they are."""
    return _cache() / "unpacked"


def _cache() -> Path:
    """The folder that ``ASSAY_CACHE`` names, else the user's cache."""
    named = os.environ.get(CACHE_VARIABLE, "")
    return Path(named).expanduser().absolute() if named else Path(platformdirs.user_cache_dir("assay"))
