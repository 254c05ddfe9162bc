"""Finished runs whose weights are gone, swapped or damaged: found by size, time and hash, and trained anew."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ..disk import regular_file
from ..errors import DataError
from ..numerals import counted
from ..store import StoreReader, StoreWriter, WeightsRecord
from .events import Finished

_NAMED = 5


@dataclass
class LostWeights:
    """The weights that a session found lost, and what became of them.

    Args:
        folder: The store's folder.
        note: Takes sentences for the user.
    """

    folder: Path
    note: Callable[[str], None]
    _sound: set[str] = field(default_factory=set)  # checked in this session already
    _hashes: dict[str, str] = field(default_factory=dict)  # what lost weights should be
    _num_same: int = 0
    _others: list[str] = field(default_factory=list)

    def requeue(
        self, study: str, finished: Iterable[str], labels: Mapping[str, str], reader: StoreReader, writer: StoreWriter
    ) -> None:
        """Queue each of these finished runs whose weights are not the ones that were written.

        A file of the recorded size and time of change is taken for the one that was written; any other is read and
        hashed, once a session. What changes a file behind the system's back is found by ``assay doctor``, and wherever
        weights are used.

        Args:
            study: The study's name.
            finished: Ids of finished runs.
            labels: What people call a run, by id.
            reader, writer: Of the store.
        """
        unchecked = set(finished) - self._sound
        weights = reader.weights_of(unchecked)
        lost = dict.fromkeys(unchecked - set(weights), "the store lacks their record")
        changed = [run for run, record in weights.items() if not _is_as_written(self.folder, record)]
        with ThreadPoolExecutor(4) as pool:  # hashing leaves Python's lock
            faults = dict(zip(changed, pool.map(lambda run: _fault(self.folder, weights[run]), changed), strict=True))
        lost |= {run: fault for run, fault in faults.items() if fault}
        writer.put_sound(run for run, fault in faults.items() if fault == "")
        self._sound |= unchecked
        if not lost:
            return
        writer.requeue_lost(study, lost)
        self._hashes |= {run: weights[run].sha256 for run in lost if run in weights}
        named = [f"{labels[run]}: {lost[run]}" for run in sorted(lost, key=labels.__getitem__)]
        more = f"; and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        runs = f"{counted(len(lost), 'finished run')} {'has lost its' if len(lost) == 1 else 'have lost their'}"
        what = f"{runs} weights and {'is' if len(lost) == 1 else 'are'}"
        self.note(f"{what} trained anew ({'; '.join(named[:_NAMED])}{more})")

    def follow(self, event: Finished, label: str) -> None:
        """Compare what a run that was trained anew has become with what it was."""
        if (was := self._hashes.pop(event.run, None)) is None:
            return
        if event.weights_sha256 == was:
            self._num_same += 1
        else:
            self._others.append(label)

    def conclude(self) -> None:
        """Say whether the runs trained anew are the same, bit for bit."""
        if self._num_same:
            runs = f"{counted(self._num_same, 'run')} {'has its' if self._num_same == 1 else 'have their'} weights"
            self.note(f"{runs} back, bit for bit")
        if self._others:
            named = ", ".join(self._others[:_NAMED])
            what = f"{named}: trained anew with other bits than before, as on another machine or version"
            self.note(f"{what}; scores of the lost weights on the test split are no longer shown")
        self._num_same = 0
        self._others.clear()


def _is_as_written(folder: Path, record: WeightsRecord) -> bool:
    """Whether a file has the size and the time of change that were recorded."""
    try:
        status = (folder / record.path).stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (record.num_bytes, record.modified_ns)


def _fault(folder: Path, record: WeightsRecord) -> str | None:
    """What is wrong with a file of weights; empty where nothing is, ``None`` where it may not be read."""
    try:
        with regular_file(folder / record.path) as file:
            is_same = hashlib.file_digest(file, "sha256").hexdigest() == record.sha256
        return "" if is_same else "not what was written"
    except FileNotFoundError:
        return "the file is missing"
    except PermissionError:
        return None
    except DataError as error:
        return str(error.problems[0].what)
    except OSError as error:
        return str(error.strerror or error)
