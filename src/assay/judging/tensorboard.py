"""Runs that TensorBoard shows: a folder of event files for each, with hyperparameters or a name that holds its seed."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import DataError, Problem
from ..store.run_record import State
from .columns import naturally
from .tracked import Experiment, Tracked

EVENTS = "events.out.tfevents.*"
# Keras writes what it measures in training and in validation into two folders of a run.
_PARTS = ("train", "validation", "valid", "val", "test", "eval")
_SEED = re.compile(r"^(?P<arm>.*?)[\s,/_.=-]*\bseed[\s=_-]*(?P<seed>\d+)", re.IGNORECASE)
_HPARAMS = "_hparams_/session_start_info"
_KNOWN_VERSION = 2.0
_STATES: Mapping[str, State] = {"diverged": "diverged", "out of memory": "out of memory", "failed": "failed"}


def tensorboard_experiment(folder: Path) -> Experiment:
    """The runs below a log folder, each with the last value of every scalar.

    A run's settings are its hyperparameters (``add_hparams``, the HParams plugin); where it has none, its folder's name
    holds arm and seed: ``wide, seed 3``, ``wide/seed-3``, ``wide_seed3``.

    Raises:
        DataError: There are no event files, one is damaged, or another version of TensorBoard wrote it.
    """
    places = sorted({path.parent for path in folder.rglob(EVENTS)}, key=lambda path: naturally(path.as_posix()))
    if not places:
        raise DataError(Problem("there are no event files here", f"they are called {EVENTS}", file=str(folder)))
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    groups: dict[Path, list[Path]] = {}
    for place in places:
        owner = place.parent if place.name in _PARTS and place != folder else place
        groups.setdefault(owner, []).append(place)
    runs: list[Tracked] = []
    without: list[Tracked] = []
    for owner, parts in groups.items():
        run = _run(folder, owner, parts)
        (runs if run.metrics else without).append(run)
    notes: tuple[str, ...] = ()
    if without and runs:
        named = ", ".join(run.id for run in without[:5]) + (", ..." if len(without) > 5 else "")
        notes = (f"Folders without a scalar have no part in this: {named}.",)
    if not runs:
        raise DataError(Problem("no run here has a scalar", "log each run's score as one", file=str(folder)))
    if not any("seed" in run.facts for run in runs) and not any(run.settings for run in runs):
        what = f'no run says its seed: neither hyperparameters nor a folder\'s name such as "{runs[0].id}" do'
        fix = 'log it (add_hparams), or call the folders such as "wide, seed 3"'
        raise DataError(Problem(what, fix, file=str(folder)))
    updated = max(path.stat().st_mtime for path in folder.rglob(EVENTS))
    return Experiment(runs, f"TensorBoard logs {folder.name}", folder.name or "logs", notes, updated)


def _run(folder: Path, owner: Path, parts: list[Path]) -> Tracked:
    metrics: dict[str, float] = {}
    settings: dict[str, str] = {}
    state: State = "finished"
    for part in parts:
        events = _events(part)
        prefix = "" if part == owner else f"{part.name}/"
        for tag in events.Tags()["scalars"]:
            metrics[prefix + tag] = float(events.Scalars(tag)[-1].value)
        for tag in events.Tags()["tensors"]:
            value = _tensor(events.Tensors(tag)[-1].tensor_proto)
            if isinstance(value, float):
                metrics[prefix + tag] = value
            elif tag.startswith("state"):
                state = _STATES.get(str(value), state)
        settings |= _hyperparameters(events)
    # What add_hparams logs as a run's scores stands under "score/".
    metrics |= {tag.removeprefix("score/"): value for tag, value in metrics.items() if tag.startswith("score/")}
    name = owner.relative_to(folder).as_posix() if owner != folder else folder.name
    attributes: dict[str, str] = {}
    arm = settings.get("arm", "")
    if "seed" not in settings and (match := _SEED.match(name)):
        attributes["seed"] = match["seed"]
        arm = arm or match["arm"].strip(" ,/_-.")
    return Tracked(name, settings, metrics, state, arm, attributes)


def _events(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events: Any = EventAccumulator(str(folder), size_guidance={"scalars": 1, "tensors": 1, "images": 1, "audio": 1})
    try:
        events.Reload()
    except Exception as error:  # DataLossError, and protobuf's own
        what = f"TensorBoard cannot read the events here ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        raise DataError(
            Problem(what, "delete the damaged file, or judge the scores as a table", file=str(folder))
        ) from None
    version = events.file_version
    if version is not None and version > _KNOWN_VERSION:
        what = f"a newer version of TensorBoard wrote these events (file version {version:g})"
        raise DataError(Problem(what, "export the scalars as CSV from TensorBoard", file=str(folder)))
    return events


def _tensor(proto: Any) -> float | str | None:
    """A tensor of one number or text."""
    from tensorboard.util.tensor_util import make_ndarray

    value = make_ndarray(proto)
    if value.size != 1:
        return None
    item = value.reshape(-1)[0]
    if isinstance(item, bytes):
        return item.decode(errors="replace")
    return float(item) if value.dtype.kind in "fiu" else None


def _hyperparameters(events: Any) -> dict[str, str]:
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    try:
        content = events.SummaryMetadata(_HPARAMS).plugin_data.content
    except KeyError:
        return {}
    info = HParamsPluginData.FromString(content).session_start_info
    return {key: _value(value) for key, value in info.hparams.items()}


def _value(value: Any) -> str:
    kind = value.WhichOneof("kind")
    content = getattr(value, kind) if kind else ""
    if isinstance(content, float) and content == int(content):
        return str(int(content))  # protobuf's structs know no whole numbers
    return str(content)
