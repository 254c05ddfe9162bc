"""A study as a list of runs, checked whole before anything trains."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from ..data import Dataset, DatasetInfo, info_of, split_for
from ..errors import InputError, Problem, SpecError, nearest
from ..nets import Summary, foundation_of, parse, summarize, summary_of
from ..seeds import Stream
from ..spec import Arm, Data, Device, Study, fingerprint, module_of, on_data, run_fingerprint
from ..spec.search import Value
from ..store import ArmRecord, StoreWriter, StudyRecord, run_folder
from ..train.task import WEIGHTS, Task
from .bases import based, looked_up
from .own_code import named, try_own


@dataclass(frozen=True)
class Plan(ABC):
    """Runs to be trained next.

    Args:
        study: What they belong to.
        arms: The study's arms.
        data: What the store remembers about the data set.
        members: (arm name, task), by seed, then arm, so that pairs finish together.
        settled: Runs that are not trained: they have failed since the study was started, or are as far as a search
            wants them.
        phase: Which part of a study of several it is: words for whoever follows.
    """

    study: Study
    arms: tuple[Arm, ...]
    data: dict[str, Any]
    members: tuple[tuple[str, Task], ...]
    settled: frozenset[str] = frozenset()
    phase: str = ""
    keeps_workers: ClassVar[bool] = False  # whether it is one of many short rounds, which share their workers

    @abstractmethod
    def register(self, writer: StoreWriter) -> None:
        """Write into the store which runs there are."""

    def width(self, num_workers: int) -> int:
        """How many runs are side by side where there are cores enough; the other cores are threads inside runs.

        It is the same however much of the plan is left: torch's bits depend on the number of threads, and a resumed
        run must have the same. A study that grows counts what it starts with.
        """
        at_first = self.study.seeds.first * len(self.arms) * (self.study.data.num_folds or 1)
        return min(len(self.tasks), at_first)

    @property
    def is_on_cuda(self) -> bool:
        return any(task.device == "cuda" for _, task in self.members)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The runs, each once: arms that say the same share their runs."""
        return tuple({task.id: task for _, task in self.members}.values())

    def content_of(self, task: Task) -> str:
        """SHA-256 of the data that a run learns from."""
        data = self.data.get("sets", {}).get(task.data.name, self.data)
        return str(data["content"])

    def run_rows(self) -> list[tuple[str, int, int, dict[str, Any]]]:
        """What the store keeps of each run: id, seed, planned epochs, design."""
        return [
            (
                task.id,
                task.seed,
                task.arm.training.planned_epochs,
                {
                    "arm": task.arm.identity(),
                    "data": {**task.data.model_dump(mode="json"), "content": self.content_of(task)},
                    "seed": task.seed,
                    "vary": list(task.vary),
                    "fold": task.fold,
                },
            )
            for task in self.tasks
        ]


@dataclass(frozen=True)
class StudyPlan(Plan):
    """A study's arms with every seed and fold."""

    def register(self, writer: StoreWriter) -> None:
        writer.put_study(
            name=self.study.name,
            question=self.study.question,
            spec=self.study.model_dump(mode="json", exclude_none=True),
            data=self.data,
            arms=self.arm_records(),
            members=[(arm, task.seed, task.fold, task.id) for arm, task in self.members],
            runs=self.run_rows(),
        )

    def arm_records(self) -> list[ArmRecord]:
        return [
            ArmRecord(arm.name, position, dict(arm.levels), arm.model_dump(mode="json"))
            for position, arm in enumerate(self.arms)
        ]


def check_networks(study: Study, *, store: Path | None = None) -> dict[str, Summary]:
    """Every arm's network by arm name, without touching data or a base's weights.

    Modules of one's own are imported, made, and trained for a few steps.

    Args:
        study: The study.
        store: The store that holds the runs that are bases; without one, arms on runs that are not found in the usual
            store are left out.

    Raises:
        SpecError: One or more arms cannot be built; every problem is named once.
    """
    if study.parts:
        return _check_on_each(study, store)
    arms = study.expand()
    try:
        info = info_of(study.data)
    except InputError as error:  # what can be said of the networks without the data still is
        raise type(error)([*error.problems, *_misspelt(study, arms)]) from None
    if info.dtype == "float32" and any(a and a.changes_bytes for a in (arm.training.augmentation for arm in arms)):
        what = f"{info.title} is kept as float32, and augmentation works on bytes"
        raise SpecError(Problem(what, "leave it out, or store the images with 8 bits", "training.augmentation"))
    summaries: dict[str, Summary] = {}
    broken: dict[Problem, list[str]] = {}  # and the arms that have it
    for index, arm in enumerate(arms):
        try:
            with_labels(arm, info)
            on_base = looked_up(named(arm), store)
            if on_base is not None:
                summaries[arm.name] = _summary(on_base, info)
                try_own(on_base, summaries[arm.name])
        except SpecError as error:
            for problem in error.problems:
                is_training = problem.key.startswith("training")
                key = problem.key if is_training else study.source_key(index, problem.key)
                broken.setdefault(replace(problem, key=key), []).append(arm.name)
    if broken:
        raise SpecError(
            problem if len(names) == len(arms) else replace(problem, what=f'{problem.what} in arm "{names[0]}"')
            for problem, names in broken.items()
        )
    return summaries


def _check_on_each(study: Study, store: Path | None) -> dict[str, Summary]:
    """``check_networks`` of a study on several data sets: every network on each, with what each says of it."""
    summaries: dict[str, Summary] = {}
    problems: dict[tuple[str, str], Problem] = {}
    arms = iter(study.expand())
    for index, (name, part) in enumerate(study.parts.items()):
        names = [next(arms).name for _ in part.expand()]
        try:
            of_part = check_networks(part, store=store)
        except InputError as error:
            kind = type(error)
            for problem in error.problems:
                is_of_data = problem.key in ("data.name", "data.path", "name", "path")
                if is_of_data or problem.what.endswith(f'"{name}"'):
                    problem = replace(problem, key=f"data.name[{index}]")
                else:
                    problem = replace(problem, what=f'{problem.what}, on "{name}"')
                problems.setdefault((problem.key, problem.what), problem)
            continue
        by_part = dict(zip((arm.name for arm in part.expand()), names, strict=True))
        summaries.update({by_part[arm]: summary for arm, summary in of_part.items()})
    if problems:
        raise (kind if len(problems) == 1 else SpecError)(problems.values())
    return summaries


def check_split(study: Study, dataset: Dataset) -> None:
    """Draws the first seed's split, so that one that cannot be drawn fails the study and not each of its runs.

    Raises:
        SpecError: The data are too few, or their groups too large, for the validation images that are asked for, or a
            class has fewer images than an arm should learn from.
    """
    fold, training = 1 if study.data.num_folds else None, dataset.training()
    problems: list[Problem] = []
    for images in dict.fromkeys(arm.images for arm in study.expand()) or {None: None}:
        try:
            split_for(training, study.data.learning_from(images), seed=0, vary=study.seeds.vary, fold=fold)
        except SpecError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise SpecError(problems)


def _misspelt(study: Study, arms: Sequence[Arm]) -> list[Problem]:
    """What is wrong with the arms' layers whatever the images are, each once."""
    problems: dict[Problem, None] = {}
    for index, arm in enumerate(arms):
        try:
            if module_of(arm.layers) is None:
                parse(arm.layers)
        except SpecError as error:
            problems.update(
                (replace(problem, key=study.source_key(index, problem.key)), None) for problem in error.problems
            )
    return list(problems)


def with_labels(arm: Arm, info: DatasetInfo) -> Arm:
    """The arm with its class weights, and measures of one class, by label instead of by name.

    Raises:
        SpecError: The data set has no such class.
    """
    if arm.teacher is not None:
        arm = arm.model_copy(update={"teacher": with_labels(arm.teacher, info)})
    if arm.training.measures:
        training = arm.training.with_measures(lambda name: _with_label(name, info))
        arm = arm.model_copy(update={"training": training})
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


def _with_label(metric: str, info: DatasetInfo) -> str:
    """A measure of one class, by the class's label."""
    kind, _, name = metric.partition(":")
    if not name:
        return metric
    labels = {str(label): str(label) for label in range(info.num_classes)}
    labels |= {known: str(label) for label, known in enumerate(info.classes)}
    if name not in labels:
        raise SpecError(Problem(f'{info.name} has no class "{name}"', nearest(name, info.classes), "training"))
    return f"{kind}:{labels[name]}"


def _summary(arm: Arm, info: DatasetInfo) -> Summary:
    if module_of(arm.layers) is not None:
        return summary_of(arm, info.shape, info.num_classes)
    try:
        parse(arm.layers)
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
    return summary_of(arm, info.shape, info.num_classes)


def _index(problem: Problem) -> int:
    """Which line of the layers a problem is about; -1 for all of them."""
    match = re.match(r"layers\[(\d+)\]", problem.key)
    return int(match[1]) if match else -1


def make_plan(
    study: Study,
    dataset: Dataset,
    store: Path,
    *,
    seeds: Mapping[str, int] | None = None,
    device: Device = "cpu",
    chosen: Mapping[tuple[str, int], Mapping[str, Value]] | None = None,
) -> StudyPlan:
    """The runs of a study on a prepared data set, with their artifacts under ``store``, for a device.

    ``seeds`` says how many each arm gets, by name; as many as are planned at most if ``None``. ``chosen`` has what the
    searches of arms that are searches have chosen, by arm and seed: a seed that is not there has no run yet.
    """
    arms = tuple(_with_chosen(arm, chosen or {}) for arm in study.expand())
    info = dataset.info
    arms = tuple(based(arm, info.shape, info.num_classes, store)[0] for arm in arms)
    folds: list[int | None] = list(range(1, study.data.num_folds + 1)) if study.data.num_folds else [None]
    vary = study.seeds.vary
    members = [
        (
            arm.name,
            task_of(
                with_labels(arm.at(study.seeds.start + number), info), study.data, vary, dataset, store,
                seed=study.seeds.start + number, fold=fold, device=device,
            ),
        )
        for number in range(study.seeds.planned)
        for fold in folds
        for arm in arms
        if (seeds is None or number < seeds[arm.name])
        and (arm.search is None or str(study.seeds.start + number) in arm.search.chosen)
    ]  # fmt: skip
    return StudyPlan(study, arms, dataset.record(is_given=study.data.is_given), tuple(members))


def _with_chosen(arm: Arm, chosen: Mapping[tuple[str, int], Mapping[str, Value]]) -> Arm:
    if arm.search is None:
        return arm
    own = {str(seed): dict(values) for (name, seed), values in chosen.items() if name == arm.name}
    return arm.model_copy(update={"search": arm.search.model_copy(update={"chosen": own})})


def make_plan_on_each(
    study: Study, datasets: Mapping[str, Dataset], store: Path, *, device: Device = "cpu"
) -> StudyPlan:
    """``make_plan`` of a study on several data sets: the runs of all, by seed, so that pairs finish together.

    Args:
        study: The study.
        datasets: Its data sets, prepared, by name.
        store: As for ``make_plan``.
        device: As for ``make_plan``.
    """
    arms: list[Arm] = []
    members: list[tuple[str, Task]] = []
    for name, part in study.parts.items():
        plan = make_plan(part, datasets[name], store, device=device)
        names = {arm.name: on_data(arm, name, study.name) for arm in plan.arms}
        arms += names.values()
        members += [(names[arm].name, task) for arm, task in plan.members]
    members.sort(key=lambda member: (member[1].seed, member[1].fold or 0))
    records = {name: datasets[name].record(is_given=part.data.is_given) for name, part in study.parts.items()}
    data = {
        "name": ", ".join(records),
        "title": f"{len(records)} data sets: {', '.join(str(one['title']) for one in records.values())}",
        "content": fingerprint([one["content"] for one in records.values()]),
        "sets": records,
    }
    return StudyPlan(study, tuple(arms), data, tuple(members))


def recorded_plan(record: StudyRecord, dataset: Dataset, store: Path) -> StudyPlan:
    """The runs of a study as the store has them; of a search, those of its finalists.

    Args:
        record: What the store knows of the study.
        dataset: The data that it was run on.
        store: The store's folder.
    """
    study, arms = record.design, recorded_arms(record)
    members = [
        (
            run.arm,
            task_of(
                with_labels(arms[run.arm].at(run.seed), dataset.info), study.data, study.seeds.vary, dataset, store,
                seed=run.seed, fold=run.fold,
            ),
        )
        for run in record.runs
    ]  # fmt: skip
    return StudyPlan(study, tuple(arms.values()), dataset.record(is_given=study.data.is_given), tuple(members))


def recorded_arms(record: StudyRecord) -> dict[str, Arm]:
    """A study's arms by name as the store has them, each with the content of its base's weights: what the study's file
    says of them may lead to other weights by now."""
    stored = {arm.name: arm.design for arm in sorted(record.arms, key=lambda arm: arm.position)}
    expanded = record.design.expand()  # none of a search
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
    measures: tuple[str, ...] = (),
) -> Task:
    """One run of an arm, under its own identity; ``measures`` are taken after each epoch."""
    images, labels = dataset.training_files()
    data = data.learning_from(arm.images)
    arm, base = based(arm, dataset.info.shape, dataset.info.num_classes, store)
    teacher = None
    if arm.teacher is not None and arm.training.distillation is not None:
        own = arm.training.distillation.seed_of(seed)
        teacher = task_of(arm.teacher, data, vary, dataset, store, seed=own, fold=fold, device=device)
        arm = arm.model_copy(update={"teacher": teacher.arm})
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
        validation=dataset.validation_file(),
        device=device,
        base=base,
        measures=measures,
        **_taught_by(teacher),
    )


def _taught_by(teacher: Task | None) -> dict[str, Any]:
    """What a student's task says of the run that teaches it."""
    if teacher is None:
        return {}
    return {
        "teacher": teacher.folder / WEIGHTS,
        "teacher_run": teacher.id,
        "teacher_seed": teacher.seed,
        "teacher_base": teacher.base,
    }


def due(tasks: Iterable[Task], states: dict[str, Any]) -> list[Task]:
    """The tasks that still have to be trained."""
    from .decisions import is_due

    return [task for task in tasks if is_due(states.get(task.id))]
