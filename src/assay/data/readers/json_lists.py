"""Lists of image files as JSON: records, JSON Lines, Label Studio's exports, and COCO's form with a class an image."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...disk import disk_errors, read_bounded
from ...errors import DataError, Problem
from ...numerals import counted
from .arrays import NO_MULTI_LABEL as _ONE

ENDINGS = (".json", ".jsonl", ".ndjson")
_MOST_BYTES = 1 << 28
_BOXES = "give a class for each image; boxes and outlines (object detection) are not read"
_BOX_TYPES = ("rectanglelabels", "polygonlabels", "keypointlabels", "brushlabels", "ellipselabels")


def json_table(path: Path, label: str | None) -> tuple[list[list[str]], tuple[str, ...]]:
    """The rows of a JSON list, their names first, and notes on what is left out.

    Args:
        path: The file.
        label: The key, or Label Studio's control, that holds the label, where the study names one.

    Raises:
        DataError: It is no such list, or an image has several labels.
    """
    place = str(path)
    with disk_errors(path, "read"):
        content = read_bounded(path, _MOST_BYTES)
    try:
        text = content.decode("utf-8-sig")
        is_lines = path.suffix.lower() != ".json"
        values = [json.loads(line) for line in text.splitlines() if line.strip()] if is_lines else json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(Problem("it is no JSON", "replace it with an intact copy", file=place)) from None
    if isinstance(values, dict) and isinstance(values.get("images"), list):
        return _coco(values, place)
    if not isinstance(values, list) or not values or not all(isinstance(value, dict) for value in values):
        what = "it is no list of records with an image and a label each"
        raise DataError(Problem(what, "give a table of file names and labels", file=place))
    if any(
        isinstance(value.get("annotations"), list) or isinstance(value.get("completions"), list) for value in values
    ):
        return _label_studio(values, label, place)
    return _records(values, place)


def _records(values: Sequence[Mapping[str, Any]], place: str) -> tuple[list[list[str]], tuple[str, ...]]:
    rows = [{key: _flat(value) for key, value in record.items()} for record in values]
    names = [key for key, value in rows[0].items() if isinstance(value, str | int | float | list) or value is None]
    table = [list(map(str, names))]
    for number, row in enumerate(rows):
        cells = []
        for name in names:
            value = row.get(name)
            if isinstance(value, list):
                what = f"record {number + 1} has {len(value)} values in {name}"
                raise DataError(Problem(what, _ONE, file=place))
            cells.append("" if value is None else str(value))
        table.append(cells)
    return table, ()


def _flat(value: Any) -> Any:
    """A value as a cell; a list of one, and Label Studio's ``{"choices": [...]}``, as what is in it."""
    if isinstance(value, dict) and isinstance(value.get("choices"), list):
        value = value["choices"]
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str | int) else value


def _label_studio(
    values: Sequence[Mapping[str, Any]], label: str | None, place: str
) -> tuple[list[list[str]], tuple[str, ...]]:
    table, left_out = [["image", label or "label"]], 0
    for number, task in enumerate(values):
        annotations = task.get("annotations") or task.get("completions") or []
        kept = [one for one in annotations if isinstance(one, dict) and not one.get("was_cancelled")]
        choices = {choice for one in kept for choice in _choices(one.get("result"), label, number, place)}
        if not choices:
            left_out += 1
            continue
        if len(choices) > 1:
            what = f"task {number + 1} has the labels {', '.join(sorted(choices)[:4])}"
            raise DataError(Problem(what, _ONE, file=place))
        data = task.get("data")
        known = data if isinstance(data, dict) else {}
        image = known.get("image") or known.get("img") or next((v for v in known.values() if isinstance(v, str)), None)
        if not isinstance(image, str):
            raise DataError(Problem(f"task {number + 1} names no image", "remove it", file=place))
        table.append([image, choices.pop()])
    if len(table) == 1:
        what = "no task has a label of the kind choices"
        raise DataError(Problem(what, "label the images in Label Studio, and export them again", file=place))
    notes = (f"{left_out:,} tasks without a label are left out.",) if left_out else ()
    return table, notes


def _choices(results: Any, label: str | None, number: int, place: str) -> list[str]:
    choices: list[str] = []
    names: set[str] = set()
    for result in results if isinstance(results, list) else []:
        if not isinstance(result, dict) or not isinstance(result.get("value"), dict):
            continue
        if result.get("type") in _BOX_TYPES:
            raise DataError(Problem(f"task {number + 1} holds {result['type']}", _BOXES, file=place))
        found = result["value"].get("choices")
        name = str(result.get("from_name"))
        if isinstance(found, list) and (label is None or name == label):
            names.add(name)
            choices += map(str, found)
    if len(names) > 1:
        what = f"task {number + 1} answers {', '.join(sorted(names)[:4])}"
        raise DataError(Problem(what, 'name the one to learn: read = { label = "..." }', file=place))
    return choices


def _coco(values: Mapping[str, Any], place: str) -> tuple[list[list[str]], tuple[str, ...]]:
    try:
        names = {one["id"]: str(one["name"]) for one in values.get("categories", [])}
        labels: dict[Any, str] = {}
        for one in values.get("annotations", []):
            if one.get("bbox") or one.get("segmentation"):
                raise DataError(Problem("its annotations are boxes or outlines", _BOXES, file=place))
            name = names[one["category_id"]]
            if labels.setdefault(one["image_id"], name) != name:
                raise DataError(Problem(f"image {one['image_id']} has several labels", _ONE, file=place))
        images = [(str(one["file_name"]), labels.get(one["id"])) for one in values["images"]]
    except (KeyError, TypeError, AttributeError):
        what = "it lacks an id, a file_name or a category_id"
        raise DataError(Problem(what, "give COCO's form, or a table of file names and labels", file=place)) from None
    table = [["file_name", "label"], *([file, label] for file, label in images if label is not None)]
    if len(table) == 1:
        raise DataError(Problem("none of its images has a label", "give a label for each", file=place))
    left_out = len(images) - len(table) + 1
    without = f"{counted(left_out, 'image')} without a label {'is' if left_out == 1 else 'are'} left out."
    return table, (without,) if left_out else ()
