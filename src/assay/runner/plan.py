"""A study as a list of runs, checked whole before anything trains."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..data import Dataset, DatasetInfo, info_of, split
from ..errors import InputError, Problem, SpecError, nearest
from ..nets import Summary, foundation_of, parse, summarize, summary_of
from ..seeds import Stream, Streams
from ..spec import Arm, Data, Device, Study, run_fingerprint
from ..store import ArmRecord, StudyRecord, run_folder
from ..train.task import Task
from .bases import based, looked_up


@dataclass(frozen=True)
class Plan:
    """Everything that a study asks for. ``members`` are (arm name, task), by seed, then arm: pairs finish together.

    With ``is_retraining`` they are a chosen arm's runs without validation images instead. Runs among ``settled`` are
    not trained: they have failed since the study was started, or are as far as a search wants them.

    A search's plan trains some of its trials: ``trials`` holds their numbers by arm name. ``is_thread_free`` says that
    any number of threads gives the same bits.
    """

    study: Study
    arms: tuple[Arm, ...]
    data: dict[str, Any]
    members: tuple[tuple[str, Task], ...]
    is_retraining: bool = False
    settled: frozenset[str] = frozenset()
    trials: Mapping[str, int] = field(default_factory=dict)
    is_thread_free: bool = False

    @property
    def is_on_cuda(self) -> bool:
        return any(task.device == "cuda" for _, task in self.members)

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
            "fold": task.fold,
        }

    def arm_records(self) -> list[ArmRecord]:
        return [
            ArmRecord(arm.name, position, dict(arm.levels), arm.model_dump(mode="json"))
            for position, arm in enumerate(self.arms)
        ]


def check_networks(study: Study, *, store: Path | None = None) -> dict[str, Summary]:
    """Every arm's network by arm name, without touching data or a base's weights.

    Args:
        study: The study.
        store: The store that holds the runs that are bases; without one, arms on runs that are not found in the usual
            store are left out.

    Raises:
        SpecError: One or more arms cannot be built; every problem is named once.
    """
    arms = study.expand()
    try:
        info = info_of(study.data)
    except InputError as error:  # what can be said of the networks without the data still is
        raise type(error)([*error.problems, *_misspelt(study, arms)]) from None
    if info.dtype == "float32" and any(arm.training.augmentation for arm in arms):
        what = f"{info.title} is kept as float32, and augmentation works on bytes"
        raise SpecError(Problem(what, "leave it out, or store the images with 8 bits", "training.augmentation"))
    summaries: dict[str, Summary] = {}
    found: dict[Problem, list[str]] = {}  # and the arms that have it
    for index, arm in enumerate(arms):
        try:
            with_labels(arm, info)
            found_arm = looked_up(arm, store)
            if found_arm is not None:
                summaries[arm.name] = _summary(found_arm, info)
        except SpecError as error:
            for problem in error.problems:
                is_training = problem.key.startswith("training")
                key = problem.key if is_training else study.source_key(index, problem.key)
                found.setdefault(replace(problem, key=key), []).append(arm.name)
    if found:
        raise SpecError(
            problem if len(names) == len(arms) else replace(problem, what=f'{problem.what} in arm "{names[0]}"')
            for problem, names in found.items()
        )
    return summaries


def check_split(study: Study, dataset: Dataset) -> None:
    """Draws the first seed's split, so that one that cannot be drawn fails the study and not each of its runs.

    Raises:
        SpecError: The data are too few, or their groups too large, for the validation images that are asked for.
    """
    training, told = dataset.training(), study.data
    generator = Streams(0, frozenset(study.seeds.vary)).generator("split")
    fold = 1 if told.num_folds else None
    split(
        training.labels, told.validation, stratified=told.stratified, generator=generator, fold=fold,
        groups=training.groups, per_class=told.per_class,
    )  # fmt: skip


def _misspelt(study: Study, arms: Sequence[Arm]) -> list[Problem]:
    """What is wrong with the arms' layers whatever the images are, each once."""
    found: dict[Problem, None] = {}
    for index, arm in enumerate(arms):
        try:
            parse(arm.layers)
        except SpecError as error:
            found.update(
                (replace(problem, key=study.source_key(index, problem.key)), None) for problem in error.problems
            )
    return list(found)


def with_labels(arm: Arm, info: DatasetInfo) -> Arm:
    """The arm with its class weights by label instead of by name.

    Raises:
        SpecError: The data set has no such class.
    """
    weights = arm.training.class_weights
    if not isinstance(weights, dict):
        return arm
    labels = {str(label): str(label) for label in range(info.num_classes)}
    labels |= {name: str(label) for label, name in enumerate(info.classes)}
    unknown = [name for name in weights if name not in labels]
    if unknown:
        raise SpecError(
            Problem(f'{info.name} has no class "{name}"', nearest(name, info.classes), f"training.class_weights.{name}")
            for name in unknown
        )
    by_label: dict[str, float] = {}
    for name, weight in weights.items():
        if labels[name] in by_label:
            what = f"class {labels[name]} has two weights, one by its name and one by its label"
            raise SpecError(Problem(what, "leave one out", f"training.class_weights.{name}"))
        by_label[labels[name]] = weight
    training = arm.training.model_copy(update={"class_weights": dict(sorted(by_label.items()))})
    return arm.model_copy(update={"training": training})


def _summary(arm: Arm, info: DatasetInfo) -> Summary:
    try:
        layers = parse(arm.layers)
    except SpecError as error:
        # What stands above the first line that says nothing can still be checked.
        sound = max(min(_index(problem) for problem in error.problems), 0)
        above: list[Problem] = []
        try:
            if arm.base is None:
                words = [*arm.layers[:sound], "flatten", "dense classes softmax"]
                summarize(parse(words), info.shape, info.num_classes)
            else:
                foundation_of(arm, info.shape)
        except SpecError as shapes:
            above = [problem for problem in shapes.problems if _index(problem) < sound]
        raise SpecError([*above, *error.problems]) from None
    return (
        summarize(layers, info.shape, info.num_classes)
        if arm.base is None
        else summary_of(arm, info.shape, info.num_classes)
    )


def _index(problem: Problem) -> int:
    """Which line of the layers a problem is about; -1 for all of them."""
    found = re.match(r"layers\[(\d+)\]", problem.key)
    return int(found[1]) if found else -1


def make_plan(
    study: Study,
    dataset: Dataset,
    store: Path,
    *,
    seeds: Mapping[str, int] | None = None,
    device: Device = "cpu",
) -> Plan:
    """The runs of a study on a prepared data set, with their artifacts under ``store``, for a device.

    ``seeds`` says how many each arm gets, by name; as many as are planned at most if ``None``.
    """
    arms = study.expand()
    info = dataset.info
    arms = tuple(based(arm, info.shape, info.num_classes, store)[0] for arm in arms)
    folds: list[int | None] = list(range(1, study.data.num_folds + 1)) if study.data.num_folds else [None]
    vary = study.seeds.vary
    members = [
        (
            arm.name,
            task_of(
                with_labels(arm, info), study.data, vary, dataset, store,
                seed=study.seeds.start + number, fold=fold, device=device,
            ),
        )
        for number in range(study.seeds.planned)
        for fold in folds
        for arm in arms
        if seeds is None or number < seeds[arm.name]
    ]  # fmt: skip
    return Plan(study, arms, info.record(), tuple(members))


def recorded_plan(record: StudyRecord, dataset: Dataset, store: Path) -> Plan:
    """The runs of a study as the store has them; of a search, those of its finalists.

    Args:
        record: What the store knows of the study.
        dataset: The data that it was run on.
        store: The store's folder.
    """
    study = Study.of(record.spec)
    arms = recorded_arms(record)
    members = [
        (
            run.arm,
            task_of(
                with_labels(arms[run.arm], dataset.info), study.data, study.seeds.vary, dataset, store, seed=run.seed,
                fold=run.fold,
            ),
        )
        for run in record.runs
    ]  # fmt: skip
    return Plan(study, tuple(arms.values()), dataset.info.record(), tuple(members))


def recorded_arms(record: StudyRecord) -> dict[str, Arm]:
    """A study's arms by name as the store has them, each with the content of its base's weights: what the study's file
    says of them may lead to other weights by now."""
    stored = {arm.name: Arm.of(arm.spec) for arm in sorted(record.arms, key=lambda arm: arm.position)}
    expanded = Study.of(record.spec).expand()  # none of a search
    return {arm.name: stored.get(arm.name, arm) for arm in expanded} or stored


def task_of(
    arm: Arm,
    data: Data,
    vary: tuple[Stream, ...],
    dataset: Dataset,
    store: Path,
    *,
    seed: int,
    fold: int | None = None,
    device: Device = "cpu",
) -> Task:
    """One run of an arm, under its own identity."""
    images, labels = dataset.training_files()
    arm, base = based(arm, dataset.info.shape, dataset.info.num_classes, store)
    run = run_fingerprint(arm, data, content=dataset.info.content, seed=seed, vary=vary, fold=fold)
    return Task(
        id=run,
        arm=arm,
        data=data.treatment(dataset.info.name),
        seed=seed,
        vary=vary,
        num_classes=dataset.info.num_classes,
        images=images,
        labels=labels,
        folder=run_folder(store.absolute(), run),
        fold=fold,
        published=dataset.published_files(data),
        groups=dataset.groups_file(),
        device=device,
        base=base,
    )


def due(tasks: Iterable[Task], states: dict[str, Any]) -> list[Task]:
    """The tasks that still have to be trained."""
    from .decisions import is_due

    return [task for task in tasks if is_due(states.get(task.id))]
