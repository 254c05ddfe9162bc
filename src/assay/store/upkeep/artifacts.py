"""What is wrong with the files of a store: weights, what nothing refers to, and what was left behind."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ...disk import regular_file
from ...errors import DataError
from ...numerals import counted
from ..files import run_folder
from .findings import Finding, listed

WEIGHTS = "weights.safetensors"
REPAIRS = "repairs"
_CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class FileFaults:
    """Files that are not as the rows say. Paths are absolute.

    Args:
        lost: Finished runs whose weights are missing or other ones, with what is wrong.
        misplaced: Of these, where a file with the recorded content lies.
        orphans: Folders of runs that the store does not know.
        temporaries: Files that were being written when their process ended.
        checkpoints: Checkpoints of runs that have finished.
        num_hashed: How many files of weights were read whole.
    """

    lost: Mapping[str, str] = field(default_factory=dict)
    misplaced: Mapping[str, Path] = field(default_factory=dict)
    orphans: tuple[Path, ...] = ()
    temporaries: tuple[Path, ...] = ()
    checkpoints: tuple[Path, ...] = ()
    num_hashed: int = 0

    @property
    def findings(self) -> list[Finding]:
        findings = []
        if here := sorted(set(self.lost) & set(self.misplaced)):
            what = f"weights of {counted(len(here), 'finished run')} lie elsewhere in the store ({_short(here)})"
            findings.append(Finding(what, "put back"))
        if gone := sorted(set(self.lost) - set(self.misplaced)):
            reasons = " and ".join(sorted({self.lost[run] for run in gone})[:3])
            what = f"weights of {counted(len(gone), 'finished run')} are lost: {reasons} ({_short(gone)})"
            findings.append(Finding(what, "trained anew, bit for bit, when the study is run again"))
        for paths, one, more, remedy in (
            (self.orphans, "folder", " of no run that the store knows", f"moved into {REPAIRS}"),
            (self.temporaries, "file", " that a process left half written", "removed"),
            (self.checkpoints, "checkpoint", " of finished runs", "removed"),
        ):
            if paths:
                names = listed([path.name for path in paths])
                findings.append(Finding(f"{counted(len(paths), one)}{more} ({names})", remedy))
        return findings


def check_files(folder: Path, connection: sqlite3.Connection, *, is_written: bool) -> FileFaults:
    """Hash the weights of every finished run, and look for files that nothing refers to.

    Args:
        folder: The store's folder.
        connection: Of its database.
        is_written: Whether a process writes the store now: what it is at is not taken for a leftover.
    """
    folder = folder.absolute()
    rows = connection.execute(
        "SELECT run, path, sha256, state FROM artifacts JOIN runs ON runs.id = run WHERE kind = 'weights'"
    ).fetchall()
    wanted = {str(run): (folder / str(path), str(sha256)) for run, path, sha256, state in rows if state == "finished"}
    states = {str(run): str(state) for run, state in connection.execute("SELECT id, state FROM runs")}
    with ThreadPoolExecutor(4) as pool:  # hashing leaves Python's lock
        hashes = dict(zip(wanted, pool.map(lambda run: _hash(wanted[run][0]), wanted), strict=True))
    lost = {
        run: "not what was written" if hashes[run][0] else hashes[run][1]
        for run, (_, sha256) in wanted.items()
        if hashes[run][0] != sha256
    }
    folders = list(_run_folders(folder))
    orphans = tuple(path for path in folders if path.name not in states)
    by_hash = {content: wanted[run][0] for run, (content, _) in hashes.items() if content}
    if lost:
        for path in folders:
            for file in path.iterdir():
                if file not in {place for place, _ in wanted.values()} and file.name != _CHECKPOINT:
                    by_hash.setdefault(_hash(file)[0], file)
    misplaced = {run: by_hash[wanted[run][1]] for run in lost if wanted[run][1] in by_hash}
    num_hashed = len(wanted)
    if is_written:
        return FileFaults(lost, misplaced, num_hashed=num_hashed)
    temporaries = tuple(sorted(_temporaries(folder)))
    finished = [run_folder(folder, run) / _CHECKPOINT for run, state in states.items() if state == "finished"]
    checkpoints = tuple(path for path in finished if path.exists())
    return FileFaults(lost, misplaced, orphans, temporaries, checkpoints, num_hashed)


def _run_folders(folder: Path) -> Iterator[Path]:
    """The folders of runs that are there, whatever the store knows of them."""
    runs = folder / "runs"
    for outer in sorted(runs.iterdir()) if runs.is_dir() else ():
        if outer.is_dir() and not outer.is_symlink():
            yield from (inner for inner in sorted(outer.iterdir()) if inner.is_dir() and not inner.is_symlink())


def _temporaries(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        if REPAIRS in folders and Path(place) == folder:
            folders.remove(REPAIRS)
        yield from (Path(place) / name for name in files if name.startswith(".") and name.endswith(".tmp"))


def _hash(path: Path) -> tuple[str, str]:
    """A file's SHA-256, or an empty text and why there is none."""
    try:
        with regular_file(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), ""
    except FileNotFoundError:
        return "", "the file is missing"
    except DataError as error:
        return "", error.problems[0].what
    except (OSError, ValueError) as error:
        return "", getattr(error, "strerror", None) or str(error)


def _short(runs: list[str]) -> str:
    return listed([run[:10] for run in runs])
