"""Data sets of the Hugging Face hub, ``hf://datasets/owner/name``: from the hub's own cache, or fetched where its
library is installed and a network is there."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, Problem, SpecError

SCHEME = "hf://"
_ADDRESS = re.compile(r"hf://datasets/([\w.-]+)/([\w.-]+)(?:@([\w./-]+?))?(?:/((?!.*\.\.)[\w./ -]+))?/?", re.ASCII)
_FORM = "hf://datasets/owner/name, with @revision and a folder behind it where you like"


@dataclass(frozen=True)
class _Address:
    owner: str
    name: str
    revision: str
    inner: str

    @property
    def repository(self) -> str:
        return f"{self.owner}/{self.name}"


def is_hub_address(path: str | None) -> bool:
    """Whether a path is an address of the hub instead of a place on this machine."""
    return path is not None and path.startswith(SCHEME)


def hub_folder(address: str) -> Path:
    """The folder or file on this machine that holds a data set of the hub.

    A copy in the hub's cache (``HF_HUB_CACHE``, ``HF_HOME``) is used as it is, whether there is a network or not.

    Raises:
        SpecError: It is no such address.
        DataError: It is not in the cache and cannot be fetched.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or ".." in address:
        raise SpecError(Problem(f'got "{address}"', f"give {_FORM}", "data.path"))
    place = _Address(match[1], match[2], match[3] or "main", (match[4] or "").strip("/"))
    snapshot = _cached(place) or _fetched(place, address)
    inner = snapshot / place.inner if place.inner else snapshot
    if not inner.exists():
        raise DataError(Problem(f"the data set holds no {place.inner}", "check the name", "data.path", address))
    return inner


def _cache() -> Path:
    named = os.environ.get("HF_HUB_CACHE", "")
    home = os.environ.get("HF_HOME", "") or os.path.join("~", ".cache", "huggingface")
    return Path(named or os.path.join(home, "hub")).expanduser()


def _cached(place: _Address) -> Path | None:
    folder = _cache() / f"datasets--{place.owner}--{place.name}"
    try:
        commit = (folder / "refs" / place.revision).read_text().strip()
    except (OSError, UnicodeDecodeError):
        commit = place.revision
    snapshot = folder / "snapshots" / commit
    is_whole = re.fullmatch(r"[0-9a-f]{6,64}", commit) is not None and snapshot.is_dir() and any(snapshot.iterdir())
    return snapshot if is_whole and (snapshot / place.inner).exists() else None


def _fetched(place: _Address, address: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        what = "it is not in the hub's cache on this machine, and huggingface_hub is not installed"
        fix = "run pip install 'assay[hub]', or download the data set and name its folder as path"
        raise DataError(Problem(what, fix, "data.path", address)) from None
    patterns = [f"{place.inner}/*", place.inner] if place.inner else None
    try:
        folder = snapshot_download(
            place.repository, repo_type="dataset", revision=place.revision, allow_patterns=patterns
        )
    except Exception as error:  # whatever the network, the hub or its library say
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        what = f"it cannot be fetched from the hub ({reason})"
        fix = "check the name and the network, or download the data set and name its folder as path"
        raise DataError(Problem(what, fix, "data.path", address)) from None
    return Path(folder)
