"""What a study found so far, as the fragments that its page shows; computed once for every change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from ..analysis import answer, retrained_sentences
from ..analysis.scores import LEAKY, counted_epoch, varied
from ..report.html import environment
from ..report.search import search_sentences, trials_table
from ..report.tables import arms_table, failures_table, looks_table
from ..results.recorded import network_tables, recorded_networks
from ..search import found_in
from ..store import StudyRecord
from . import studies

if TYPE_CHECKING:
    import jinja2

_T = TypeVar("_T")
_KEPT = 64


@cache
def templates() -> jinja2.Environment:
    """The page's templates, and the report's below them."""
    return environment("assay.web")


def fragment(template: str, /, **values: Any) -> str:
    """A template of the page, filled in."""
    return templates().get_template(template).render(**values)


def arms_of(record: StudyRecord) -> dict[str, Any]:
    """The arms' table, and their scores as numbers."""
    table = arms_table(record, network_tables(recorded_networks(record)))
    return {"html": fragment("_table.html", data=table), "arms": studies.scores(record)}


def answer_of(record: StudyRecord) -> dict[str, Any]:
    """The answer with its verdicts, on validation and, once revealed, on test."""
    has_test = bool(record.looks) and any(run.test_accuracy is not None for run in record.runs)
    found = answer(record)
    html = fragment(
        "_answer.html",
        answer=found,
        test=answer(record, split="test") if has_test else None,
        looks=looks_table(record) if record.looks else None,
        retrained=retrained_sentences(record),
        failures=failures_table(record) if any(run.is_failed for run in record.runs) else None,
        counted_epoch=counted_epoch(record),
        varied=varied(record),
        leaky=LEAKY if record.is_leaky else "",
    )
    return {"html": html, "tone": found.tone, "label": found.label, "headline": found.headline}


def trials_of(record: StudyRecord) -> dict[str, Any]:
    """A search's trials, each with where it stands, and what the search has done so far."""
    found = found_in(record)
    table = trials_table(found, under_way=record)
    return {"html": fragment("_table.html", data=table), "told": ". ".join(search_sentences(record)) + "."}


class Findings:
    """Results that take a while, each computed once for a state of its study, and never twice at a time."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="findings")
        self._kept: dict[tuple[str, str], tuple[Any, Any]] = {}
        self._busy: dict[tuple[str, str], asyncio.Lock] = {}

    async def get(self, what: str, study: str, state: Any, compute: Callable[[], _T]) -> _T:
        """What ``compute`` gives for this state of the study; it runs in a thread."""
        key = (what, study)
        async with self._busy.setdefault(key, asyncio.Lock()):
            if key in self._kept and self._kept[key][0] == state:
                found: _T = self._kept[key][1]
                return found
            found = await asyncio.get_running_loop().run_in_executor(self._pool, compute)
            self._kept.pop(key, None)
            self._kept[key] = (state, found)
            while len(self._kept) > _KEPT:
                self._kept.pop(next(iter(self._kept)))
            return found

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def timed(compute: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """The same with the seconds that it took, so that a page does not ask for it too often."""

    def measured() -> dict[str, Any]:
        start = time.perf_counter()
        found = compute()
        return {**found, "seconds": round(time.perf_counter() - start, 3)}

    return measured
