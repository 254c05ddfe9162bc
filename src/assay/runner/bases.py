"""Bases with their weights: files verified and read once, runs looked up in the store, kept as arrays of ours."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..data import bases_folder, find_weights, prepare, split_for
from ..disk import disk_errors, locked, write
from ..errors import DataError, NoStore, Problem, SpecError
from ..nets import Layer, parse, summary_of
from ..nets.bases import Blueprint, coding
from ..nets.bases.files import read_weights, sha256_of
from ..nets.effects import Image
from ..nets.foundation import Coding
from ..nets.own import sourced
from ..nets.shapes import BASE
from ..spec import Arm, Base, Study, module_of, plain
from ..store import RunRecord, StudyRecord, default_folder, open_reader

_SHORTEST_ID = 4


def based(arm: Arm, stored: Image, num_classes: int, store: Path) -> tuple[Arm, Path | None]:
    """An arm with its base's weights, or its own module's code, known by their content, and the file of the weights.

    Args:
        arm: The arm; without a base it is returned as it is.
        stored: Shape of a stored image.
        num_classes: Classes.
        store: The store that holds the runs that are bases.

    Raises:
        SpecError: The base or its run is unknown, or does not fit.
        DataError: The weights are missing, or not what they should be.
    """
    arm = sourced(arm)
    base = arm.base
    if base is None or base.is_random:
        return arm, None
    on_base = looked_up(arm, store, is_needed=True)
    if on_base is None or on_base.base is None:
        raise ValueError(arm.name)
    arm, base = on_base, on_base.base
    rows = [row for row in summary_of(arm, stored, num_classes).layers if row.block]
    form = [[row.name, row.word, row.input_shape[-1]] for row in rows]
    if base.content is not None and (kept := _kept(base.content, form)).exists():
        return arm, kept
    with disk_errors(bases_folder(), "written"):
        bases_folder().mkdir(parents=True, exist_ok=True)
    if base.run is not None:
        record, run = _run(base.run, store)
        tensors = _of_run(store, record, run)
        content = run.weights_sha256 or ""
        _refuse_other(base, content, "train the study anew on it, or put the run back that it was trained on", store)
        layers = {row.name for row in rows}
        arrays = {f"{BASE}{name}": value for name, value in tensors.items() if BASE + name.split(".")[0] in layers}
    else:
        path = Path(base.weights) if base.is_file else find_weights(base.name)
        content = sha256_of(path)
        _refuse_other(base, content, "give the file that the study was made for", path)
        named = base if base.is_file else base.model_copy(update={"weights": str(path)})
        arrays = read_weights(path, named, rows)
    kept = _kept(content, form)
    with locked(kept.with_suffix(".lock")):
        if not kept.exists():
            _keep(kept, arrays)
    return arm.model_copy(update={"base": base.model_copy(update={"content": content})}), kept


def looked_up(arm: Arm, store: Path | None, *, is_needed: bool = False) -> Arm | None:
    """The arm with what a run that is its base is made of written into it.

    Args:
        arm: The arm.
        store: The store that holds the run; the usual one if ``None``.
        is_needed: Whether a run that is not found is an error; else it is ``None`` where no store is named.

    Raises:
        SpecError: The run is unknown, has not finished, or is no base.
        DataError: Its weights are not those that the base must have.
    """
    if arm.base is None:
        return arm
    base = base_of_run(arm.base, store, is_needed=is_needed)
    return None if base is None else arm.model_copy(update={"base": base})


def base_of_run(base: Base, store: Path | None, *, is_needed: bool = False) -> Base | None:
    """``looked_up`` for a base alone; one that is no run's is returned as it is."""
    if base.run is None or base.network is not None:
        return base
    folder = store if store is not None else default_folder()
    try:
        record, run = _run(base.run, folder)
    except SpecError:
        if store is None and not is_needed:
            return None
        raise
    _refuse_other(base, run.weights_sha256 or "", "name the run that the study was made for", folder)
    network = _blueprint(record, run).record()
    return base.model_copy(update={"network": network, "content": run.weights_sha256})


def _refuse_other(base: Base, content: str, fix: str, place: Path) -> None:
    """Raise where weights are not those that a base is known by."""
    if base.content not in (None, content):
        named = f'run "{base.run}": its' if base.run is not None else "the"
        what = f"{named} weights' SHA-256 should be {base.content}, and it is {content}"
        raise DataError(Problem(what, fix, "base.content", str(place)))


def ready(tasks: Sequence[Any], *, threads: int, note: Any = None) -> None:
    """Computes what frozen bases put out for these tasks, with all threads, before workers ask for it one by one.

    Args:
        tasks: Those that are still to be trained.
        threads: For torch.
        note: Called with a sentence now and then.
    """
    cached = [task for task in tasks if task.arm.base is not None]
    if not cached:
        return
    import torch

    from ..data import open_training
    from ..train.features import features_of, is_cached

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    seen: set[str] = set()
    try:
        for task in filter(is_cached, cached):
            base = task.arm.base
            key = json.dumps([base.identity(), task.seed if base.is_random else 0, str(task.images)], default=str)
            key += repr(task.arm.training.augmentation) + repr(_first_pools(task.arm))
            if key in seen:
                continue
            seen.add(key)
            title = base.name or base.weights
            reported = 0.0

            def done(images: int, total: int, title: str = title) -> None:
                nonlocal reported
                if note is not None and (images == total or images / total >= reported + 0.1):
                    reported = images / total
                    note(f"{title}: its outputs for {images:,} of {total:,} images are computed")

            features_of(task, open_training(task.images, task.labels), on_progress=done)
    finally:
        torch.set_num_threads(before)


def _first_pools(arm: Arm) -> list[Any]:
    """The lines that the head begins with, as far as its first layer with weights."""
    lines: list[Any] = plain(list(arm.layers))
    return lines[:3]


def _kept(content: str, form: Any) -> Path:
    key = hashlib.sha256(json.dumps([content, form]).encode()).hexdigest()
    return bases_folder() / f"{key}.safetensors"


def _keep(path: Path, arrays: dict[str, Any]) -> None:
    import safetensors.numpy

    write(path, safetensors.numpy.save(arrays))


def _run(name: str, store: Path) -> tuple[StudyRecord, RunRecord]:
    """The finished run whose id begins with these characters; of a study of one arm, that of its first seed."""
    key = "base.weights"
    try:
        with open_reader(store):
            pass
    except NoStore:
        what = f'the base is run "{name}", and in {store} there is no store'
        raise SpecError(Problem(what, "train it first, or name the store that holds it", key)) from None
    with open_reader(store) as reader:
        if name in reader.study_names():
            return _first_run(reader.study(name), key)
        matches = reader.runs_called(name) if len(name) >= _SHORTEST_ID else {}
        if len(matches) != 1:
            what = f'there is no run whose id begins with "{name}" in {store}'
            if matches:
                what = f'{len(matches)} runs have ids that begin with "{name}" in {store}'
            elif len(name) < _SHORTEST_ID:
                what = f'"{name}" is too short for the start of an id'
            raise SpecError(Problem(what, "see `assay runs STUDY`, and write more of the id", key))
        (identity, study), *_ = matches.items()
        record = reader.study(study)
    run = next(run for run in (*record.runs, *record.retrained) if run.id == identity)
    if run.state != "finished" or run.weights_path is None:
        raise SpecError(
            Problem(f"run {identity[:10]} ({run.arm}, {run.label}) is {run.state}", "name a finished one", key)
        )
    return record, run


def _first_run(record: StudyRecord, key: str) -> tuple[StudyRecord, RunRecord]:
    finished = [run for run in record.runs if run.state == "finished" and run.weights_path is not None]
    if len(record.arms) > 1 or not finished:
        lack = "has several arms" if len(record.arms) > 1 else "has no finished run"
        raise SpecError(Problem(f'study "{record.name}" {lack}', "name a finished run by the start of its id", key))
    return record, min(finished, key=lambda run: (run.seed, run.fold or 0))


def _of_run(store: Path, record: StudyRecord, run: RunRecord) -> dict[str, Any]:
    """A run's weights, as contiguous arrays."""
    import safetensors.numpy

    path = store / (run.weights_path or "")
    content = sha256_of(path)
    if content != run.weights_sha256:
        what = "the run's weights are not the ones that were written (SHA-256 differs)"
        raise DataError(Problem(what, "train the run anew, or name another", file=str(path)))
    return dict(safetensors.numpy.load_file(path))


def _blueprint(record: StudyRecord, run: RunRecord) -> Blueprint:
    """A run's layers until it flattens its images, as blocks that begin with a convolution each."""
    study = record.design
    recorded = (arm.design for arm in record.arms)  # a search has no other arms
    arm = next(arm for arm in study.expand() or recorded if arm.name == run.arm)
    if arm.training.ensemble is not None:
        what = f"run {run.id[:10]} is an ensemble of {arm.training.ensemble} networks"
        raise SpecError(Problem(what, "name a run of one network", "base.weights"))
    if module_of(arm.layers) is not None:
        what = f"run {run.id[:10]} is a module of your own, which has no blocks"
        raise SpecError(Problem(what, "name a run of layer words", "base.weights"))
    if arm.base is not None:
        what = f"run {run.id[:10]} stands on a base itself"
        raise SpecError(Problem(what, "name a run that does not", "base.weights"))
    blocks: list[tuple[str, tuple[Any, ...]]] = []
    for line in plain(list(arm.layers)):
        (node,) = parse([line])
        layer = node if isinstance(node, Layer) else None  # or a block of layers
        if layer is not None and layer.gives_vector:  # where a network leaves off being a base
            break
        if layer is None or layer.role == "convolution" or not blocks:
            blocks.append((f"block{len(blocks) + 1}", ()))
        name, lines = blocks[-1]
        blocks[-1] = (name, (*lines, line))
    if not blocks:
        what = f"run {run.id[:10]} has no layer before it flattens its images"
        raise SpecError(Problem(what, "name a run with convolutions", "base.weights"))
    height, width, channels = record.data["shape"]
    title = f"run {run.id[:10]} ({record.name}, {run.arm}, {run.label})"
    return Blueprint(title, tuple(blocks), channels, _coding(record, run, study), (height, width))


def _coding(record: StudyRecord, run: RunRecord, study: Study) -> Coding:
    """What the run saw of bytes 0 to 255."""
    channels = record.data["shape"][2]
    if study.data.scaling != "standard":
        return coding(study.data.scaling, channels)
    from ..train.scaling import scaling_of

    training = prepare(study.data).training()
    parts = split_for(training, record.data_of(run), seed=run.seed, vary=study.seeds.vary, fold=run.fold)
    scaling = scaling_of(training.images, "standard", parts.training)
    unit = 255.0 if record.data["dtype"] == "float32" else 1.0
    offset, factor = (scaling.offset * unit).tolist(), (scaling.factor / unit).tolist()
    return Coding("standardised as the run's own images were", tuple(offset), tuple(factor))
