"""Patterns that say where labels stand in file names, such as ``[label]_[id]``, and proposals for them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...errors import DataError, Problem
from .labels import shown

_FIELD = re.compile(r"\[([A-Za-z]\w*)\]")
_MOST_FIELDS = 8
_MARKS = "_-. "
_MOST_CLASSES = 1000
_LEAST_EACH = 2  # images of a class, on average, for a proposal
_MOST_NAMES = 20_000


def is_pattern(labels: str | None) -> bool:
    """Whether ``read.labels`` says where labels stand in file names, instead of naming a file."""
    return labels is not None and "[label]" in labels


def proposal(names: Sequence[str]) -> str | None:
    """What to do where image files lie in no class folders, if their names may hold labels.

    Args:
        names: Of image files, without folders.
    """
    patterns = proposed_patterns(names)
    if not patterns:
        return None
    fix = f'if their names hold the labels, give read = {{ labels = "{patterns[0]}" }}'
    pattern = compiled(patterns[0], "")
    labels = sorted({match["label"] for name in names if (match := pattern.fullmatch(name.rpartition(".")[0]))})
    others = f', or "{patterns[1]}"' if len(patterns) > 1 else ""
    return f"{fix} (classes {shown(labels)}){others}"


def proposed_patterns(names: Sequence[str]) -> list[str]:
    """Patterns that would give labels to these file names, the likeliest first: few labels, each of several images.

    Args:
        names: Of image files, without folders.
    """
    stems = [name.rpartition(".")[0] for name in names[:: max(1, len(names) // _MOST_NAMES)]]
    if len(stems) < 2 * _LEAST_EACH:
        return []
    proposals = []
    for mark in ("__", *_MARKS):
        rows = [stem.split(mark) for stem in stems]
        width = len(rows[0])
        if not 2 <= width <= _MOST_FIELDS:
            if min(map(len, rows)) > 1:  # such as american_bulldog_12: the last part counts
                proposals += _likely(stems, [f"[label]{mark}[id]"])
            continue
        if {len(row) for row in rows} == {width}:
            fields = [[row[k] for row in rows] for k in range(width)]
            for k, values in enumerate(fields):
                if _are_labels(values):
                    proposals += _likely(stems, [mark.join(_words(fields, k))])
        elif min(map(len, rows)) > 1:
            proposals += _likely(stems, [f"[label]{mark}[id]"])
    if not proposals:
        proposals = _likely(stems, ["[label][id]"])
    return list(dict.fromkeys(proposals))


def _words(fields: Sequence[Sequence[str]], label: int) -> list[str]:
    """What stands for each field of a name: itself where all names share it, the label, or what tells images apart."""
    counts = [len(set(values)) for values in fields]
    most = max((count, k) for k, count in enumerate(counts) if k != label)[1]
    words = [
        values[0] if count == 1 else f"[part{k + 1}]"
        for k, (values, count) in enumerate(zip(fields, counts, strict=True))
    ]
    words[label] = "[label]"
    if counts[most] > 1:
        words[most] = "[id]"
    return words


def _likely(stems: Sequence[str], patterns: Sequence[str]) -> list[str]:
    likely = []
    for text in patterns:
        pattern = compiled(text, "")
        matches = [pattern.fullmatch(stem) for stem in stems]
        if all(matches) and _are_labels([match["label"] for match in matches if match]):
            likely.append(text)
    return likely


def _are_labels(values: Sequence[str]) -> bool:
    """Whether texts may be classes: some, not one for almost every image."""
    count = len(set(values))
    return 2 <= count <= min(_MOST_CLASSES, len(values) // _LEAST_EACH)


def compiled(text: str, place: str) -> re.Pattern[str]:
    """A pattern as a regular expression for a file's name without its ending.

    Raises:
        DataError: It has no [label], several, or too many fields.
    """
    fields = _FIELD.findall(text)
    if fields.count("label") != 1 or len(fields) > _MOST_FIELDS or len(text) > 200:
        what = f'got "{text[:80]}", which has {fields.count("label")} times [label]'
        fix = 'give a pattern such as "[label]_[id]"'
        raise DataError(Problem(what, fix, "data.read.labels", place))
    pieces = _FIELD.split(text)  # what stands between, then a field, in turn
    marks = {mark for mark in "".join(pieces[::2]) if not mark.isalnum()}
    inner = f"[^{re.escape(''.join(sorted(marks)))}]+" if marks else ".+"
    expression = re.escape(pieces[0])
    for at in range(1, len(pieces), 2):
        is_touched = not pieces[at + 1] and at + 2 < len(pieces)
        was_touched = at > 1 and not pieces[at - 1]
        if pieces[at] == "label":
            expression += r"(?P<label>.*\D)" if is_touched else "(?P<label>.+)"
        else:
            expression += r"\d+" if is_touched or was_touched else inner
        expression += re.escape(pieces[at + 1])
    return re.compile(expression, re.DOTALL)
