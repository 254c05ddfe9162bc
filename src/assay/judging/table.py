"""Tables of scores: a row for each run, with columns arm, seed and score."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from ..errors import DataError, Problem, nearest
from ..store.run_record import State
from .columns import SCORES, SEEDS, Names, arm_name
from .scores import Score, Scores, shortened

if TYPE_CHECKING:
    import pandas as pd

FACTOR = "factor."
_OPTIONAL = ("fold", "data", "metric", "state", "reason", "run")
_STATES: tuple[str, ...] = get_args(State)
_LARGEST_SEED = 2**62


def table_scores(
    frame: pd.DataFrame, names: Names, *, source: str, name: str, updated: float = 0.0, first_line: int | None = None
) -> Scores:
    """The scores of a table.

    Columns: ``arm``, ``seed`` and ``score``; if they are there also ``fold`` (from 1), ``data``, ``metric``, ``state``
    (finished, failed, diverged, ...), ``reason``, ``run``, and ``factor.NAME`` with the arm's level of each factor.
    A table with folds needs no seed.

    Args:
        frame: The table; values may be texts.
        names: Of its columns, where they are called otherwise.
        source: For sentences.
        name: A name for the scores.
        updated: When the table was last changed.
        first_line: The line of the file that the first row stands in; rows are counted from 1 unless given.

    Raises:
        DataError: A column is missing, or values cannot be read: each is named with its row.
    """
    if frame.columns.duplicated().any():
        twice = sorted({str(column) for column in frame.columns[frame.columns.duplicated()]})
        raise DataError(Problem(f'two columns are called "{twice[0]}"', "give each its own name", file=source))
    columns = {str(column).strip().lower(): column for column in frame.columns}
    arms = [_column(one, columns, "arm", source) for one in names.arm or ("arm",)]
    score = _score_column(names, columns, source)
    seed = _seed_column(names, columns, source)
    factors = {key.removeprefix(FACTOR): column for key, column in columns.items() if key.startswith(FACTOR)}
    used = {*arms, score, seed, *factors.values(), *(columns[key] for key in _OPTIONAL if key in columns)}
    rows: list[Score] = []
    problems: list[Problem] = []
    for number, values in enumerate(_records(frame), start=1):
        place = f"row {number}" if first_line is None else f"line {first_line + number - 1}"
        levels = {str(factors[key])[len(FACTOR) :]: _text(values[factors[key]]) for key in factors}
        if len(arms) > 1:
            parts = {str(arm): _text(values[arm]) for arm in arms}
            arm, levels = arm_name(parts), {**parts, **levels}
        else:
            arm = _text(values[arms[0]])
        optional = {key: _text(values[columns[key]]) for key in _OPTIONAL if key in columns}
        try:
            rows.append(_row(arm, values[score], None if seed is None else values[seed], optional, levels, place))
        except ValueError as error:
            what, _, fix = str(error).partition("; ")
            problems.append(Problem(f"{place}: {what}", fix, file=source))
    if problems:
        raise DataError(shortened(problems, source))
    notes = []
    if unused := [str(column) for column in frame.columns if column not in used]:
        more = f" and {len(unused) - 8} more" if len(unused) > 8 else ""
        notes.append(f"Columns that are not used: {', '.join(unused[:8])}{more}.")
    if "metric" not in columns and str(score).lower() != "score":
        rows = [replace(row, metric=str(score)) for row in rows]
    return Scores(tuple(rows), source, name, tuple(notes), updated)


def _records(frame: pd.DataFrame) -> Iterator[Mapping[Any, Any]]:
    names = list(frame.columns)
    for row in frame.itertuples(index=False, name=None):
        yield dict(zip(names, row, strict=True))


def _column(asked: str, columns: Mapping[str, Any], what: str, source: str) -> Any:
    if asked.strip().lower() in columns:
        return columns[asked.strip().lower()]
    shown = ", ".join(map(str, columns.values()))
    is_usual = asked == what
    fix = f"name the one that holds it with --{what} (there are {shown})" if is_usual else nearest(asked, list(columns))
    raise DataError(Problem(f'there is no column "{asked}"', fix, file=source))


def _score_column(names: Names, columns: Mapping[str, Any], source: str) -> Any:
    if not names.score and "score" not in columns:
        usual = [columns[one] for one in SCORES if one in columns]
        if usual:
            return usual[0]
    return _column(names.score or "score", columns, "score", source)


def _seed_column(names: Names, columns: Mapping[str, Any], source: str) -> Any:
    if not names.seed:
        usual = [columns[one] for one in SEEDS if one in columns]
        if usual:
            return usual[0]
        if "fold" in columns:
            return None  # folds alone pair runs
        what = 'there is no column "seed", and a verdict compares runs in pairs'
        fix = "add the seed of each run, the same for both arms, or name the column that pairs them with --seed"
        raise DataError(Problem(what, fix, file=source))
    return _column(names.seed, columns, "seed", source)


def _row(arm: str, score: Any, seed: Any, optional: Mapping[str, str], levels: dict[str, str], place: str) -> Score:
    """One row. Its errors are what is wrong and the fix, between them a semicolon."""
    if not arm:
        raise ValueError("there is no arm; name the one that the run is of")
    if len(arm) > 120:
        raise ValueError(f'the arm\'s name "{arm[:40]}..." has {len(arm)} letters; 120 are the most')
    state = optional.get("state", "") or "finished"
    if state not in _STATES:
        raise ValueError(f'"{state}" is no state; {nearest(state, list(_STATES))}')
    value = _number(score, state)
    fold = _whole(optional["fold"], "fold", least=1) if optional.get("fold") else None
    return Score(
        arm, 0 if seed is None else _whole(seed, "seed"), value, place, fold, state,  # type: ignore[arg-type]
        optional.get("reason", ""), optional.get("data", ""), optional.get("metric", ""), optional.get("run", ""),
        {key: level for key, level in levels.items() if level},
    )  # fmt: skip


def _number(given: Any, state: str) -> float:
    text = _text(given)
    if state != "finished" and not text:
        return math.nan
    if not text or text.lower() == "nan":
        raise ValueError(
            'the score is no number (NaN); a run that diverged or failed is a result: write "diverged" or "failed" in '
            'a column "state"'
        )
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f'the score "{text[:40]}" is no number; write it such as 0.912') from None
    if state == "finished" and not math.isfinite(value):
        raise ValueError(f'the score is {text}; a run that diverged is a result: write "diverged" in a column "state"')
    return value


def _whole(given: Any, what: str, *, least: int = 0) -> int:
    text = _text(given)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number == int(number)):
        raise ValueError(f'the {what} is "{text[:40]}"; give a whole number')
    whole = int(text) if text.lstrip("+-").isdigit() else int(number)
    if not least <= whole <= _LARGEST_SEED:
        raise ValueError(
            f"the {what} is {whole}; give {least} or more" + (", of 18 digits at most" if least == 0 else "")
        )
    return whole


def _text(value: Any) -> str:
    """A cell as a text; empty where there is nothing."""
    if value is None or value != value or str(value) in ("<NA>", "NaT"):
        return ""
    return str(value).strip()
