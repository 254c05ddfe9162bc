"""A study's results so far, as the HTML fragments that its page shows; computed once for every change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from ..analysis import answer, retrained_sentences
from ..analysis.image_spread import claim_of
from ..analysis.measured import measure_of
from ..analysis.scores import LEAKY, counted_epoch, varied
from ..report.html import environment
from ..report.search import search_sentences, trials_table
from ..report.tables import arms_table, failures_table, looks_table
from ..results.recorded import network_tables, recorded_networks
from ..search import result_of_search
from ..store import StudyRecord
from . import studies

if TYPE_CHECKING:
    import jinja2

_T = TypeVar("_T")
_MAX_CACHED = 64


@cache
def templates() -> jinja2.Environment:
    """The page's templates, and the report's below them."""
    return environment("assay.web")


def fragment(template: str, /, **values: Any) -> str:
    """A template of the page, filled in."""
    return templates().get_template(template).render(**values)


def arms_of(record: StudyRecord) -> dict[str, Any]:
    """The arms' table, and their scores as numbers."""
    table = arms_table(record, network_tables(recorded_networks(record), record.design.data.scaling))
    return {
        "html": fragment("_table.html", data=table),
        "arms": studies.scores(record),
        "measure": studies.measure(record),
    }


def answer_of(record: StudyRecord) -> dict[str, Any]:
    """The answer with its verdicts, on validation and, once revealed, on test."""
    has_test = bool(record.looks) and any(run.test_accuracy is not None for run in record.runs)
    result = answer(record)
    html = fragment(
        "_answer.html",
        answer=result,
        test=answer(record, split="test") if has_test else None,
        looks=looks_table(record) if record.looks else None,
        retrained=retrained_sentences(record),
        failures=failures_table(record) if any(run.is_failed for run in record.runs) else None,
        counted_epoch=counted_epoch(record),
        measured=measure_of(record).label,
        varied=varied(record),
        claimed=claim_of(record),
        leaky=LEAKY if record.is_leaky else "",
    )
    return {"html": html, "tone": result.tone, "label": result.label, "headline": result.headline}


def trials_of(record: StudyRecord) -> dict[str, Any]:
    """A search's trials with their states, and the search's progress in sentences."""
    findings = result_of_search(record)
    table = trials_table(findings, under_way=record)
    return {"html": fragment("_table.html", data=table), "told": ". ".join(search_sentences(record)) + "."}


class Findings:
    """A cache of slow results, each computed once for a state of its study, and never twice at a time."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="findings")
        self._cache: dict[tuple[str, str], tuple[Any, Any]] = {}
        self._busy: dict[tuple[str, str], asyncio.Lock] = {}

    async def get(self, name: str, study: str, state: Any, compute: Callable[[], _T]) -> _T:
        """The result of ``compute`` for this state of the study; it runs in a thread."""
        key = (name, study)
        async with self._busy.setdefault(key, asyncio.Lock()):
            if key in self._cache and self._cache[key][0] == state:
                result: _T = self._cache[key][1]
                return result
            result = await asyncio.get_running_loop().run_in_executor(self._pool, compute)
            self._cache.pop(key, None)
            self._cache[key] = (state, result)
            while len(self._cache) > _MAX_CACHED:
                self._cache.pop(next(iter(self._cache)))
            return result

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def timed(compute: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """The same function, its result with the seconds that it took, so that a page does not ask for it too often."""

    def measured() -> dict[str, Any]:
        start = time.perf_counter()
        result = compute()
        return {**result, "seconds": round(time.perf_counter() - start, 3)}

    return measured
