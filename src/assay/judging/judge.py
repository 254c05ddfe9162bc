"""Verdicts on results from other tools."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, Problem, SpecError, nearest
from ..store.records import StudyRecord
from .columns import Names
from .export import ATTRIBUTE
from .files import read_table
from .judgement import Judgement
from .native import native_record
from .record import record_of, study_name
from .recorded import with_recorded_look
from .scores import Scores
from .sources import form_of, tracked_scores
from .table import table_scores

if TYPE_CHECKING:
    import pandas as pd

    from ..spec.study import Claim


def judge(
    results: pd.DataFrame | str | Path,
    *,
    data: str | None = None,
    **options: Any,
) -> Judgement:
    """Give verdicts on results that Assay did not train.

    Two runs of different arms with the same seed are a pair. The first arm is the baseline. A table needs columns
    ``arm``, ``seed`` and ``score``; docs/guides/judge.md describes the optional ones.

    Args:
        results: A pandas table or the path of a CSV file; a table of ``Result.scores`` or ``assay runs --csv``; a
            folder of MLflow, TensorBoard or Keras Tuner; the file of an Optuna storage; or a folder of saved
            predictions.
        data: The data set to judge, if the results are of several.
        options: ``against``: the baseline arm. ``arm``, ``seed``, ``score``: names of columns, settings or metrics, if
            they differ from these. ``metric``: the measure to judge, of several, or what the score is.
            ``higher_is_better``: the measure's direction, if Assay does not know it. ``question``: the report's title.
            ``margin``: percentage points below which a difference does not matter. ``claim``: what verdicts generalize
            to, ``"new images"`` or ``"these images"``. ``chance``: the accuracy of guessing; without it no run counts
            as collapsed. ``form``: what the results are, if it is not detected. ``experiment``: the MLflow experiment
            or Optuna study. ``store``: a store whose ledger records the claims, under ``name``.

    Returns:
        The :class:`~assay.judging.Judgement`. Print it for the verdicts; ``report()`` writes them as a file.

    Raises:
        DataError: The results cannot be read or judged: two scores for one arm and seed, arms without a common seed,
            scores that are not numbers, or several data sets or metrics and none named. All problems are listed, each
            with its place and remedy.
        SpecError: An option breaks a rule, or the package that reads the results is not installed.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({
        ...     "arm": ["plain"] * 6 + ["dropout"] * 6,
        ...     "seed": [*range(6)] * 2,
        ...     "score": [0.91, 0.92, 0.90, 0.91, 0.93, 0.92, 0.94, 0.95, 0.94, 0.93, 0.95, 0.95],
        ... })
        >>> print(assay.judge(table, metric="accuracy").headline)
        dropout is better than plain: accuracy is 2.83 points higher (95 % interval 2.00 to 3.66, 6 seeds)
    """
    parts = parts_of(results, data=data, **options)
    if len(parts) > 1:
        names = ", ".join(str(part.record.data.get("title")) for part in parts)
        what = f"the scores are of {len(parts)} data sets ({names}), and each has verdicts of its own"
        raise DataError(Problem(what, "name one, such as data=...", file=parts[0].record.source))
    return parts[0]


def parts_of(
    results: pd.DataFrame | str | Path,
    *,
    data: str | None = None,
    against: str | None = None,
    arm: str | Sequence[str] | None = None,
    seed: str | None = None,
    score: str | None = None,
    metric: str | None = None,
    higher_is_better: bool | None = None,
    question: str = "",
    margin: float | None = None,
    claim: Claim | None = None,
    chance: float | None = None,
    form: str | None = None,
    experiment: str | None = None,
    store: str | Path | None = None,
    name: str | None = None,
) -> tuple[Judgement, ...]:
    """``judge`` of each data set by itself, in the order of the results."""
    names = Names.of(arm, seed, score)
    read = _read(results, names, form=form, experiment=experiment)
    if isinstance(read, StudyRecord):
        given = {"against": against, "metric": metric, "margin": margin, "claim": claim, "chance": chance, "data": data}
        if asked := [key for key, value in given.items() if value is not None]:
            what = f"{asked[0]} is given for a table that carries the design of the study {read.name}"
            raise SpecError(Problem(what, "change the study's file, or delete the table's first line", asked[0]))
        record = replace(read, question=question) if question else read
        if store is not None:
            what = "this table is of a study whose own store keeps its looks"
            raise SpecError(Problem(what, "leave the store out: assay ledger of that store has its claims", "store"))
        return (Judgement(record),)
    if not read.rows:
        raise DataError(Problem("there is no score", "give a row for each run", file=read.source))
    scores = _of_metric(read, metric)
    wanted = scores.data_sets if data is None else (_known(data, scores.data_sets, "data set", scores.source),)
    parts = []
    for one in wanted:
        part = replace(scores.only(data=one), name=name or scores.name)
        if len(wanted) > 1 and one:
            part = replace(part, name=f"{part.name}-{study_name(one)}")
        record = record_of(
            part, against=against, question=question, margin=margin, claim=claim, chance=chance,
            higher_is_better=higher_is_better,
        )  # fmt: skip
        if store is not None:
            record = with_recorded_look(Path(store), record)
        parts.append(Judgement(record, part.notes))
    return tuple(parts)


def _read(
    results: pd.DataFrame | str | Path, names: Names, *, form: str | None, experiment: str | None
) -> Scores | StudyRecord:
    if isinstance(results, str | Path):
        path = Path(results)
        kind = form_of(str(results), form)
        if kind != "table":
            return tracked_scores(str(results), kind, names, experiment=experiment)
        frame, header, first_line = read_table(path)
        source = str(path)
        if header:
            return native_record(frame, header, source=source, first_line=first_line)
        return table_scores(
            frame, names, source=path.name, name=study_name(path.stem), updated=path.stat().st_mtime,
            first_line=first_line,
        )  # fmt: skip
    columns = getattr(results, "columns", None)
    if columns is None:
        what = f"results are of type {type(results).__name__}"
        raise DataError(Problem(what, "give a pandas frame, or the path of a table or a folder"))
    if ATTRIBUTE in results.attrs:
        return native_record(results, str(results.attrs[ATTRIBUTE]), source="the frame")
    return table_scores(results, names, source="the frame", name="scores", updated=time.time())


def _of_metric(scores: Scores, metric: str | None) -> Scores:
    known = scores.metrics
    if metric is None:
        if len(known) > 1:
            what = f"there are {len(known)} measures ({', '.join(known)}), and verdicts on all would err more often"
            raise DataError(Problem(what, "name the one that the question is about: --metric", file=scores.source))
        return scores
    if len(known) == 1:  # what the scores are, in the user's words
        return replace(scores, rows=tuple(replace(row, metric=metric) for row in scores.rows))
    return scores.only(metric=_known(metric, known, "measure", scores.source))


def _known(name: str, known: Sequence[str], what: str, source: str) -> str:
    if name not in known:
        raise DataError(Problem(f'there is no {what} "{name}"', nearest(name, list(known)), file=source))
    return name
