"""Downloads a data set's raw files, resuming partial downloads and keeping only verified files."""

from __future__ import annotations

import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from ...disk import disk_errors, locked
from ...errors import DataError, Problem
from ..location import lock_file, raw_folder
from . import raw
from .entries import Entry, RawFile
from .lookup import entry

DownloadProgress = Callable[[str, int, "int | None"], None]

TIMEOUT_SECONDS = 30.0  # without a byte, not for the whole file
_CHUNK_BYTES = 1 << 16


def fetch(name: str, *, progress: DownloadProgress | None = None) -> list[Path]:
    """Downloads a data set's raw files from the first mirror that gives them intact.

    A file that is there and intact is left alone. A broken download stays as ``.part`` and is resumed by the
    next mirror or the next call. A file gets its final name only when its content is verified.

    Args:
        name: A name of the registry.
        progress: Called with the file's name, the bytes done, and the bytes in total (``None`` if not known).

    Returns:
        The raw files; none where the data come with an installed package.

    Raises:
        SpecError: The registry has no such data set.
        DataError: No mirror gave a file, or the folder cannot be used.
        DiskFull: There is no space left.
    """
    return fetch_entry(entry(name), progress=progress)


def fetch_entry(entry: Entry, *, progress: DownloadProgress | None = None) -> list[Path]:
    """``fetch`` for an entry that need not be in the registry."""
    if entry.is_bundled:
        return []
    folder = raw_folder(entry.place)
    lock = lock_file("fetch", entry.place)
    with disk_errors(folder, "written"):
        folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    with disk_errors(lock, "written"), locked(lock):
        for index, file in enumerate(entry.files):
            path = _intact(folder, file, entry.name)
            if path is None:
                try:
                    path = _fetch_file(entry, file, folder, progress)
                except _Failed as failed:
                    names = ", ".join(later.name for later in entry.files[index:])
                    what = f"{entry.name} could not be downloaded ({failed})"
                    fix = f"try again when the network is back, or get {names} elsewhere and put them into this folder"
                    raise DataError(Problem(what, fix, file=str(folder))) from failed
            paths.append(path)
    return paths


class _Failed(Exception):
    """Why a mirror, or every mirror, did not give a file."""


def _intact(folder: Path, file: RawFile, dataset: str) -> Path | None:
    try:
        path = raw.find(folder, file)
        if path is not None:
            raw.check(path, file, dataset)
    except DataError:
        return None
    return path


def _fetch_file(entry: Entry, file: RawFile, folder: Path, progress: DownloadProgress | None) -> Path:
    part = folder / f"{file.name}.part"
    failures: list[str] = []
    may_fetch_anew = True
    for mirror in entry.mirrors:
        while True:
            try:
                _download(mirror + file.name, part, file.name, progress)
                raw.check(part, file, entry.name)
            except _Failed as failed:
                failures.append(f"{urlsplit(mirror).netloc} {failed}")
                break
            except DataError:
                with disk_errors(part, "written"):
                    part.unlink(missing_ok=True)
                if not may_fetch_anew:
                    failures.append(f"{urlsplit(mirror).netloc} sent damaged content")
                    break
                may_fetch_anew = False
            else:
                with disk_errors(folder / file.name, "written"):
                    os.replace(part, folder / file.name)
                return folder / file.name
    raise _Failed(", ".join(failures))


def _download(url: str, part: Path, name: str, progress: DownloadProgress | None) -> None:
    """Downloads into ``part``, continuing at its present size."""
    with disk_errors(part, "read"):
        num_received = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "assay", "Accept-Encoding": "identity"}
    if num_received:
        headers["Range"] = f"bytes={num_received}-"
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and num_received:  # nothing is left to send: the file is complete, or it is another one
            return
        raise _Failed(f"answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Failed(f"did not answer: {getattr(error, 'reason', None) or error or type(error).__name__}") from error
    with response:
        if response.status == 206:
            first = re.match(r"bytes (\d{1,18})-", response.headers.get("Content-Range", ""))
            if first is None or int(first[1]) != num_received:
                raise _Failed("sent another part of the file than the one asked for")
        else:
            num_received = 0
        length = response.headers.get("Content-Length", "")
        total = num_received + int(length) if re.fullmatch(r"\d{1,18}", length) else None
        with disk_errors(part, "written"), open(part, "ab" if num_received else "wb") as file:
            while chunk := _receive(response):
                file.write(chunk)
                num_received += len(chunk)
                if progress is not None:
                    progress(name, num_received, total)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and num_received < total:
        raise _Failed(f"broke off after {num_received} of {total} bytes")


def _receive(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _Failed(f"broke off: {error or type(error).__name__}") from error
