"""A study as a list of runs, checked whole before anything trains."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..data import Dataset, DatasetInfo, info_of
from ..errors import Problem, SpecError
from ..nets import Summary, parse, summarize
from ..spec import Arm, Study, run_fingerprint
from ..store import ArmRecord, run_folder
from ..train.task import Task


@dataclass(frozen=True)
class Plan:
    """Everything that a study asks for. ``members`` are (arm name, task), by seed, then arm: pairs finish together."""

    study: Study
    arms: tuple[Arm, ...]
    data: dict[str, Any]
    members: tuple[tuple[str, Task], ...]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The runs, each once: arms that say the same share their runs."""
        return tuple({task.id: task for _, task in self.members}.values())

    def run_spec(self, task: Task) -> dict[str, Any]:
        """What the store keeps of a run's design."""
        return {
            "arm": task.arm.identity(),
            "data": {**task.data.model_dump(mode="json"), "content": self.data["content"]},
            "seed": task.seed,
            "vary": list(task.vary),
        }

    def arm_records(self) -> list[ArmRecord]:
        return [
            ArmRecord(arm.name, position, dict(arm.levels), arm.model_dump(mode="json"))
            for position, arm in enumerate(self.arms)
        ]


def check_networks(study: Study) -> dict[str, Summary]:
    """Every arm's network by arm name, without touching data.

    Raises:
        SpecError: One or more arms cannot be built; every problem is named once.
    """
    info = info_of(study.data)
    arms = study.expand()
    if info.dtype == "float32" and any(arm.training.augmentation for arm in arms):
        what = f"{info.title} is kept as float32, and augmentation works on bytes"
        raise SpecError(Problem(what, "leave it out, or store the images with 8 bits", "training.augmentation"))
    summaries: dict[str, Summary] = {}
    found: dict[Problem, list[str]] = {}  # and the arms that have it
    for index, arm in enumerate(arms):
        try:
            summaries[arm.name] = _summary(arm, info)
        except SpecError as error:
            for problem in error.problems:
                key = _source_key(study, index, problem.key)
                found.setdefault(replace(problem, key=key), []).append(arm.name)
    if found:
        raise SpecError(
            problem if len(names) == len(arms) else replace(problem, what=f'{problem.what} in arm "{names[0]}"')
            for problem, names in found.items()
        )
    return summaries


def _summary(arm: Arm, info: DatasetInfo) -> Summary:
    try:
        layers = parse(arm.layers)
    except SpecError as error:
        # What stands above the first line that says nothing can still be checked.
        sound = min(_index(problem) for problem in error.problems)
        above: list[Problem] = []
        try:
            summarize(parse([*arm.layers[:sound], "flatten", "dense classes softmax"]), info.shape, info.num_classes)
        except SpecError as shapes:
            above = [problem for problem in shapes.problems if _index(problem) < sound]
        raise SpecError([*above, *error.problems]) from None
    return summarize(layers, info.shape, info.num_classes)


def _index(problem: Problem) -> int:
    return int(problem.key.removeprefix("layers[").rstrip("]"))


def _source_key(study: Study, index: int, key: str) -> str:
    """Where the study file holds the layer that an expanded arm's problem names."""
    if not study.arms:
        return f"network.{key}"
    combinations = len(study.expand()) // len(study.arms)
    listed = index // max(combinations, 1)
    return f"arms[{listed}].{key}" if study.arms[listed].layers else f"network.{key}"


def make_plan(study: Study, dataset: Dataset, store: Path) -> Plan:
    """The runs of a study on a prepared data set, with their artifacts under ``store``."""
    arms = study.expand()
    images, labels = dataset.training_files()
    info = dataset.info
    members = []
    for seed in range(study.seeds.count):
        for arm in arms:
            run = run_fingerprint(arm, study.data, content=info.content, seed=seed, vary=study.seeds.vary)
            task = Task(
                id=run,
                arm=arm,
                data=study.data.treatment(info.name),
                seed=seed,
                vary=study.seeds.vary,
                num_classes=info.num_classes,
                images=images,
                labels=labels,
                folder=run_folder(store.absolute(), run),
            )
            members.append((arm.name, task))
    return Plan(study, arms, info.record(), tuple(members))


def due(tasks: Iterable[Task], states: dict[str, Any]) -> list[Task]:
    """The tasks that still have to be trained."""
    from .promote import is_due

    return [task for task in tasks if is_due(states.get(task.id))]
