"""Where a data set's files are looked up, and where its memory maps live."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

import platformdirs

from ..errors import DataError, Problem

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
    return _place("arrays", content)


def bases_folder() -> Path:
    """The folder of pretrained weights converted to arrays, from files and runs; always in the cache."""
    return _place("bases")


def features_folder() -> Path:
    """The folder of frozen bases' outputs (features), computed once; always in the cache."""
    return _place("features")


def source_note(key: str) -> Path:
    """What is noted about a user's files that were read before: the content that they held."""
    return _place("sources", f"{key}.json")


def reading_folder() -> Path:
    """The folder of files without a name that hold many images while they are read; always in the cache."""
    return _cache() / "reading"


def lock_file(purpose: str, name: str) -> Path:
    """The lock file of one data set for one purpose, outside the user's own data folders."""
    return _place("locks", f"{purpose}-{name}.lock", is_written=True)


def cache_folder() -> Path:
    """The folder of all that is cached, made if it is not there."""
    folder = _cache()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _place(*parts: str, is_written: bool = False) -> Path:
    """A place in the cache; where that cannot be written and does not hold it, one in the system's temporary folder.

    A cache that was filled and is read-only now, as an image of a machine may hold it, is read where it is.
    """
    usual = _cache().joinpath(*parts)
    if (usual.exists() and not is_written) or _can_write(_cache()):
        return usual
    return _fallback().joinpath(*parts)


def _can_write(folder: Path) -> bool:
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    return os.access(existing, os.W_OK)


def _fallback() -> Path:
    """A folder for this user alone: others could put arrays of theirs into one that they may write.

    Raises:
        DataError: The folder is another user's.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"assay-cache-{user}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or (hasattr(os, "getuid") and status.st_uid != user):
        what = f"the cache {_cache()} cannot be written, and {folder} is another user's"
        raise DataError(Problem(what, f"name a folder with {CACHE_VARIABLE}"))
    return folder


def unpacked_folder() -> Path:
    """The folder in which archives are unpacked while they are read, where they cannot be read as they are."""
    return _cache() / "unpacked"


def _cache() -> Path:
    """The folder that ``ASSAY_CACHE`` names, else the user's cache."""
    named = os.environ.get(CACHE_VARIABLE, "")
    return Path(named).expanduser().absolute() if named else Path(platformdirs.user_cache_dir("assay"))
