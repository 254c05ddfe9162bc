"""A store followed while another process writes it: what has changed is read, and nothing else."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import StoreError
from .files import DATABASE, connect, is_copy, no_store, translated
from .lock import writing_process
from .reader import BEGINS, StoreReader
from .records import RunRecord, SearchRecord, State, StudyRecord
from .snapshot import state_of

_RESHAPES = {*BEGINS, "revealed"}


@dataclass(frozen=True)
class Overview:
    """A study as a list shows it. ``states`` counts its runs; ``is_training``: a process is at it now."""

    name: str
    question: str
    data: str
    created: float
    updated: float
    num_arms: int
    num_looks: int
    states: Mapping[State, int]
    trial_states: Mapping[State, int]
    is_leaky: bool
    is_training: bool

    @property
    def num_runs(self) -> int:
        return sum(self.states.values())


@dataclass
class Followed:
    """A study kept up to date.

    Args:
        record: All that is known of it.
        version: Rises with every change.
        base: The version since which its runs are the same ones in the same places.
        versions: For each run of ``record.runs``, when it changed last.
        finished: When a run last came to an end, or the study itself changed: verdicts hold since then.
    """

    record: StudyRecord
    version: int
    base: int
    versions: list[int]
    finished: int

    def changed(self, since: int) -> list[int]:
        """Places of the runs that changed after this version; all of them where that version is not of this list."""
        if since < self.base or since > self.version:
            return list(range(len(self.versions)))
        return [place for place, version in enumerate(self.versions) if version > since]


class StoreFollower:
    """Reads from a store what has changed since it looked last. It belongs to one thread.

    Where the store vanishes, NoStore is raised; once it is back, it is read again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._reader: StoreReader | None = None
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._copied: tuple[object, ...] | None = None  # the store's state when it was copied, where a copy is read
        self._data_version = -1
        self._event = 0
        self._latest = ""  # the study whose training began last
        self._studies: dict[str, Followed] = {}
        self._version = time.time_ns() // 1_000_000
        self._writer: int | None = None

    @property
    def version(self) -> int:
        """Rises with every change of the store, and of the process that writes it."""
        return self._version

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._reader = self._file = None
        self._studies.clear()
        self._data_version = -1

    def poll(self) -> bool:
        """Whether anything changed since the last call. It costs next to nothing where nothing has.

        Raises:
            NoStore: There is no store.
            StoreError: It cannot be read.
        """
        try:
            self._open()
        except StoreError:
            self.close()
            raise
        with translated(self.folder):
            assert self._connection is not None
            (data_version,) = self._connection.execute("PRAGMA data_version").fetchone()
        writer = writing_process(self.folder)
        is_same = data_version == self._data_version and writer == self._writer
        self._data_version, self._writer = data_version, writer
        if not is_same:
            self._step()
            self._read_events()
        return not is_same

    def overviews(self) -> tuple[Overview, ...]:
        """Every study, the one that changed last first."""
        reader = self._opened()
        return tuple(
            Overview(**values, is_training=self._writer is not None and values["name"] == self._latest)
            for values in reader.overviews()
        )

    def is_training(self, name: str) -> bool:
        """Whether a process is training this study now."""
        return self._writer is not None and name == self._latest

    def study(self, name: str) -> Followed:
        """A study as it stands at the last poll.

        Raises:
            NoSuchStudy: There is no such study.
        """
        reader = self._opened()
        if name not in self._studies:
            record = reader.study(name)
            now = self._version
            self._studies[name] = Followed(record, now, now, [now] * len(record.runs), now)
        return self._studies[name]

    def forget(self, name: str) -> None:
        """Follow a study no longer; asking for it again reads it anew."""
        self._studies.pop(name, None)

    def _opened(self) -> StoreReader:
        if self._reader is None:
            self.poll()
        assert self._reader is not None
        return self._reader

    def _open(self) -> None:
        try:
            status = os.stat(self.folder / DATABASE)
        except OSError:
            raise no_store(self.folder) from None
        file = (status.st_dev, status.st_ino)
        state = state_of(self.folder / DATABASE)
        if file == self._file and self._copied in (None, state):
            return
        self.close()
        self._connection = connect(self.folder, writable=False)
        self._copied = state if is_copy(self._connection) else None
        self._reader = StoreReader(self.folder, self._connection)
        self._file = file
        self._event, self._latest = self._reader.last_event()

    def _step(self) -> None:
        self._version = max(self._version + 1, time.time_ns() // 1_000_000)

    def _read_events(self) -> None:
        reader = self._opened()
        touched: set[str] = set()
        for number, study, kind, detail in reader.events_after(self._event):
            self._event = number
            if kind in BEGINS:
                self._latest = study
            if kind in _RESHAPES:
                self._studies.pop(study, None)
            if run := json.loads(detail).get("run"):
                touched.add(run)
        for name, followed in list(self._studies.items()):
            self._studies[name] = self._refreshed(name, followed, touched)

    def _refreshed(self, name: str, followed: Followed, touched: set[str]) -> Followed:
        """Only runs that an event names or that were running can have changed."""
        record = followed.record
        places = _places(record.runs, touched)
        runs = list(record.runs)
        has_ended = False
        for new in self._opened().some_runs(name, places) if places else ():
            for place in places[new.id]:
                old = runs[place]
                if (old.arm, old.seed, old.fold) != (new.arm, new.seed, new.fold) or old == new:
                    continue
                runs[place] = new
                followed.versions[place] = self._version
                has_ended = has_ended or _counts(new) != _counts(old)
        hits, image_sets, looks = record.validation_hits, record.image_sets, self._opened().verdict_looks(name)
        if places:
            new_hits, new_sets = self._opened().some_validation_hits(name, places)
            hits = {**hits, **new_hits}
            image_sets = image_sets.joined(new_sets)
        has_ended = has_ended or looks != record.verdict_looks or hits != record.validation_hits
        search = self._refreshed_search(name, record.search, touched)
        if record.search is not None and search is not None:
            pairs = zip(record.search.runs, search.runs, strict=True)
            has_ended = has_ended or any(_counts(old) != _counts(new) for old, new in pairs)
        followed.record = replace(
            record,
            runs=tuple(runs),
            search=search,
            verdict_looks=looks,
            validation_hits=hits,
            image_sets=image_sets,
        )
        followed.version = self._version
        if has_ended:
            followed.finished = self._version
        return followed

    def _refreshed_search(self, name: str, search: SearchRecord | None, touched: set[str]) -> SearchRecord | None:
        if search is None or not (places := _places(search.runs, touched)):
            return search
        runs = list(search.runs)
        for new in self._opened().some_trial_runs(name, search, places):
            for place in places[new.id]:
                if (runs[place].arm, runs[place].seed) == (new.arm, new.seed):
                    runs[place] = new
        return replace(search, runs=tuple(runs))


def _places(runs: Iterable[RunRecord], touched: set[str]) -> dict[str, list[int]]:
    """Where the runs are that can have changed, by their ids."""
    by_id: dict[str, list[int]] = {}
    for place, run in enumerate(runs):
        if run.id in touched or run.state == "running":
            by_id.setdefault(run.id, []).append(place)
    return by_id


def _counts(run: RunRecord) -> tuple[str, float | None]:
    return run.state, run.test_accuracy
