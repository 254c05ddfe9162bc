"""A search's plans, one after another: what to train next, until its finalists have been trained anew."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from ..data import Dataset, DatasetInfo
from ..nets import summary_of
from ..numerals import counted
from ..runner.bases import based
from ..runner.plan import Plan, StudyPlan, task_of, with_labels
from ..runner.worker import CHECKPOINT
from ..spec import Device, Study
from ..spec.metric import RECORDED
from ..spec.search import Search
from ..store import SearchRecord, StoreReader, StoreWriter, StudyRecord, run_folder, trial_name
from ..train.fused.plan import why_not_fused, why_plain
from .candidates import on_its_base
from .changes import refuse_changes
from .facts import arm_of, current_step, finalists, run_score, scores_of, search_of
from .halving import WHOLE, Step, design_of
from .propose import propose, try_space

_MEASURED = 9  # candidates, of which the one with the median cost is timed


@dataclass(frozen=True)
class TrialPlan(Plan):
    """Some of a search's trials, trained as far as a step asks.

    Args:
        trials: Their numbers by arm name.
        is_thread_free: Whether any number of threads gives the same bits.
    """

    trials: Mapping[str, int] = field(kw_only=True)
    is_thread_free: bool = field(kw_only=True)
    keeps_workers: ClassVar[bool] = True

    def register(self, writer: StoreWriter) -> None:
        members = [(self.trials[arm], task.seed, task.id) for arm, task in self.members]
        writer.put_trial_runs(self.study.name, members, self.run_rows())

    def width(self, num_workers: int) -> int:
        """Few runs are left of many: only where any number of threads gives the same bits do they share the cores."""
        return len(self.tasks) if self.is_thread_free else num_workers


def search_plans(
    study: Study,
    dataset: Dataset,
    folder: Path,
    reader: StoreReader,
    writer: StoreWriter,
    *,
    device: Device = "cpu",
    has_finalists: bool = True,
) -> Iterator[Plan]:
    """What to train next, asked for again after each plan has ended, until nothing is left.

    What is decided is replayed from the store each time: the trials that there are and the scores of their runs.
    Without ``has_finalists`` it ends with the last trial: the best is trained elsewhere.

    Raises:
        SpecError: The file is another search's than the one that has begun under its name, or nothing in its space may
            be trained.
    """
    as_written, study = study, on_its_base(study, folder)
    _begin(as_written, study, dataset, folder, reader, writer, device)
    design = design_of(study)
    while True:
        record = _record(reader, study)
        step = current_step(study, record)
        if step.num_trials > len(record.trials):
            candidates, is_exhausted = propose(study, dataset.info, record, design, step, store=folder)
            writer.put_candidates(
                study.name, candidates, facts={**record.facts, "is_exhausted": True} if is_exhausted else None
            )
            continue
        _settle(study, record, step, folder, writer)
        if step.jobs:
            yield replace(_trials_plan(study, dataset, folder, reader, record, step, device), study=as_written)
        else:
            break
    chosen = finalists(study, record, step, scores_of(study, record, design))
    if chosen and has_finalists:
        yield replace(finalists_plan(study, dataset, folder, record, chosen, device=device), study=as_written)


def _begin(
    as_written: Study,
    study: Study,
    dataset: Dataset,
    folder: Path,
    reader: StoreReader,
    writer: StoreWriter,
    device: Device,
) -> None:
    """The search in the store, as its file writes it: as it was, where it has begun already."""
    spec = as_written.model_dump(mode="json", exclude_none=True)
    if study.name in reader.study_names():
        before = reader.study(study.name)
        if before.search is not None and before.search.facts:
            refuse_other_data(before, dataset.info)
            _refuse_other_base(before.search, study)
            refuse_changes(before.design, as_written, num_trials=len(before.search.trials))
            writer.put_spec(study.name, study.question, spec)
            return
    facts = {"optuna": _optuna_version(), **_base_of(study), **_measured(study, dataset, folder, device)}
    writer.begin_search(name=study.name, question=study.question, spec=spec, data=dataset.record(), facts=facts)


def refuse_other_data(before: StudyRecord, info: DatasetInfo) -> None:
    """Raise where the data are not those that the search began with.

    Raises:
        SpecError: Their content differs.
    """
    from ..errors import Problem, SpecError

    if before.data["content"] != info.content:
        what = f"the content of {info.title} has changed since the search began"
        raise SpecError(Problem(what, "put the data back, or give the new search a name of its own", "data"))


def _base_of(study: Study) -> dict[str, str]:
    """The content of the run that is a search's base, where it has one that was looked up."""
    base = study.network.base if study.network is not None else None
    return {"base": base["content"]} if isinstance(base, dict) and base.get("network") else {}


def _refuse_other_base(before: SearchRecord, study: Study) -> None:
    from ..errors import Problem, SpecError

    now = _base_of(study)
    if now and before.facts.get("base", now["base"]) != now["base"]:
        what = "the run that is the base has other weights than when the search began"
        fix = "give the new search a name of its own"
        raise SpecError(Problem(what, fix, "network.base.weights"))


def _measured(study: Study, dataset: Dataset, folder: Path, device: Device) -> dict[str, Any]:
    """This machine's speed, where the search limits seconds: in training steps of the median of some candidates."""
    if "seconds" not in search_of(study).limits:
        try_space(study, dataset.info, store=folder)
        return {}
    from ..runner.speed import measured_speed

    free = {key: value for key, value in search_of(study).limits.items() if key != "seconds"}
    constraints = tuple(f"{cost} <= {most!r}" for cost, most in free.items())
    search = search_of(study).model_copy(update={"constraints": constraints})
    tried = try_space(study.model_copy(update={"search": search}), dataset.info, wanted=_MEASURED, store=folder)
    flops = statistics.median_low([one.costs["flops"] for one in tried.allowed])
    one = next(one for one in tried.allowed if one.costs["flops"] == flops)
    assert one.arm is not None
    assert one.summary is not None
    arm = with_labels(one.arm, dataset.info)
    task = task_of(arm, study.data, study.seeds.vary, dataset, folder, seed=0, device=device)
    speed = measured_speed(task, one.summary)
    try_space(study, dataset.info, speed=speed, store=folder)
    return {"flops_per_second": speed}


def _optuna_version() -> str:
    from importlib.metadata import version

    return version("optuna")


def _record(reader: StoreReader, study: Study) -> SearchRecord:
    record = reader.study(study.name).search
    assert record is not None
    return record


def _settle(study: Study, record: SearchRecord, step: Step, folder: Path, writer: StoreWriter) -> None:
    """Runs that wait for nothing are paused, and the checkpoints of those that never go on are let go."""
    going = {trial for trial, _ in step.jobs}
    waiting = {trial for rung in step.rungs if not rung.is_full for trial in rung.trials}
    is_asha = bool(design_of(study).asha)
    numbers = {trial_name(trial): trial for trial in record.trials}
    active = {run.id for run in record.runs if numbers[run.arm] in going | waiting}  # trials may share a run
    for run in record.runs:
        if run.id in active or run.state in ("finished", "diverged"):
            continue
        if run.state in ("queued", "running") and run.epochs:
            writer.put_paused(run.id, None)
        if not is_asha or step.is_over:
            (run_folder(folder, run.id) / CHECKPOINT).unlink(missing_ok=True)


def _trials_plan(
    study: Study, dataset: Dataset, folder: Path, reader: StoreReader, record: SearchRecord, step: Step, device: Device
) -> Plan:
    """The jobs of a step as runs, those with most epochs to go first.

    Another study may have trained some as far, and another search may have seen some fail: they are taken as they are.
    """
    search, info = search_of(study), dataset.info
    known = {(run.arm, run.seed): run for run in record.runs}
    members, trials, arms, left = [], {}, {}, {}
    for trial, epochs in step.jobs:
        arm = arms[trial] = based(arm_of(study, record, trial), info.shape, info.num_classes, folder)[0]
        trials[arm.name] = trial
        for seed in search.seeds:
            run = known.get((arm.name, seed))
            task = task_of(
                with_labels(arm, info), study.data, study.seeds.vary, dataset, folder, seed=seed, device=device,
                measures=_measures(search),
            )  # fmt: skip
            if run is not None and run_score(run, arm.training, search.metric, epochs) != "unknown":
                continue  # another replicate is waited for
            whole = epochs == WHOLE or epochs >= arm.training.planned_epochs
            left[task.id] = (arm.training.planned_epochs if whole else epochs) - (len(run.epochs) if run else 0)
            members.append((arm.name, replace(task, pause_after=None if whole else epochs)))
    members.sort(key=lambda member: -left[member[1].id])
    # Two trials may be the same arm, where an unused value differs: the run is trained as far as the longer one asks.
    furthest: dict[str, tuple[str, Any]] = {}
    for name, task in members:
        before = furthest.get(task.id)
        if before is None or (task.pause_after or 10**9) > (before[1].pause_after or 10**9):
            furthest[task.id] = (name, task)
    members = [(name, furthest[task.id][1]) for name, task in members]
    free = device == "cpu" and all(
        why_not_fused(summary_of(arm, info.shape, info.num_classes)) is None and why_plain(arm.training) is None
        for arm in arms.values()
    )
    progress = reader.progress(furthest, besides=study.name)
    settled = frozenset(
        run
        for run, (_, task) in furthest.items()
        if run in progress
        and (progress[run].is_settled or (task.pause_after is not None and progress[run].epochs >= task.pause_after))
    )
    return TrialPlan(
        study,
        tuple(arms.values()),
        dataset.record(),
        tuple(members),
        settled=settled,
        trials=trials,
        is_thread_free=free,
        phase=_phase(search, record, step),
    )  # fmt: skip


def _phase(search: Search, record: SearchRecord, step: Step) -> str:
    """Which trials are trained how far now, such as ``search: 8 of 64 trials to 4 epochs``."""
    total = max(search.trials or 0, len(record.trials))
    lengths = {epochs for _, epochs in step.jobs}
    most = max(lengths)
    far = "to their end" if WHOLE in lengths else f"to {counted(most, 'epoch')}"
    return f"search: {len(step.jobs)} of {counted(total, 'trial')} {far}"


def _measures(search: Search) -> tuple[str, ...]:
    """What a search goes by that no run records by itself."""
    return () if search.metric in RECORDED else (search.metric,)


def finalists_plan(
    study: Study, dataset: Dataset, folder: Path, record: SearchRecord, chosen: list[int], *, device: Device = "cpu"
) -> Plan:
    """The finalists, the best first, each with as many fresh seeds as ``[seeds]`` says."""
    info = dataset.info
    arms = tuple(based(arm_of(study, record, trial), info.shape, info.num_classes, folder)[0] for trial in chosen)
    members = tuple(
        (
            arm.name,
            task_of(
                with_labels(arm, info),
                study.data,
                study.seeds.vary,
                dataset,
                folder,
                seed=seed,
                device=device,
                measures=_measures(search_of(study)),
            ),
        )
        for seed in range(study.first_fresh_seed, study.first_fresh_seed + study.seeds.planned)
        for arm in arms
    )
    return StudyPlan(study, arms, dataset.record(), members, phase="finalists, with fresh seeds")
