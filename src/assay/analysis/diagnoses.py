"""What is wrong with a study's runs, run by run and arm by arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..numerals import counted
from ..spec import Best, Data
from ..stats.curves import Curves
from ..stats.diagnose import MIN_EPOCHS, Diagnosis, diagnose
from ..stats.protocol import Protocol
from ..store.parts import part_of_run
from ..store.records import RunRecord, StudyRecord
from .scores import ordered_arms

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RunDiagnosis:
    """One problem of one run.

    Args:
        arm: The run's arm.
        seed: The run's seed.
        fold: The run's fold, from 1; ``None`` without folds.
        diagnosis: The problem.
    """

    arm: str
    seed: int
    fold: int | None
    diagnosis: Diagnosis


@dataclass(frozen=True)
class ArmDiagnosis:
    """How many runs of an arm have one kind of problem.

    Args:
        arm: The arm's name.
        kind: The kind of problem.
        num_runs: Runs of the arm that have it.
        of: Runs of the arm that were examined.
        example: The problem of the first seed that has it.
        seed: That seed.
    """

    arm: str
    kind: str
    num_runs: int
    of: int
    example: Diagnosis
    seed: int


@dataclass(frozen=True)
class Diagnoses:
    """All problems of a study's runs, as :meth:`assay.Result.diagnose` returns them.

    Args:
        study: The study's name.
        runs: Every problem of every run, by arm, seed and fold.
        arms: Their counts for each arm.
        looked_at: The number of examined runs, by arm.
        leaky: Whether the validation images are the test images.
        too_short: Runs with too few epochs for most rules, by arm. Arms without such runs are left out.
    """

    study: str
    runs: tuple[RunDiagnosis, ...]
    arms: tuple[ArmDiagnosis, ...]
    looked_at: dict[str, int]
    leaky: bool = False
    too_short: dict[str, int] = field(default_factory=dict)

    @property
    def short_sentence(self) -> str:
        """What could not be judged because runs are too short, without its full stop; empty otherwise."""
        if not self.too_short:
            return ""
        count = sum(self.too_short.values())
        who = f"{counted(count, 'run')} {'has' if count == 1 else 'have'}"
        return (
            f"{who} fewer than {MIN_EPOCHS} epochs: too few to judge overfitting, underfitting, learning rates and "
            "convergence"
        )

    def frame(self) -> pd.DataFrame:
        """Return one row for each problem of a run."""
        import pandas as pd

        rows = [{"arm": one.arm, "seed": one.seed, "fold": one.fold, **asdict(one.diagnosis)} for one in self.runs]
        columns = ["arm", "seed", "fold", "kind", "evidence", "advice", "source", "epoch"]
        frame = pd.DataFrame(rows, columns=columns)
        frame.attrs["leaky"] = self.leaky
        return frame

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self)

    def _repr_html_(self) -> str:
        from ..markup import sentences

        return self.frame().to_html(index=False) + sentences((), [f"{self.short_sentence}."] if self.too_short else [])


def diagnose_study(study: StudyRecord, *, shared: Mapping[str, int] | None = None) -> Diagnoses:
    """Diagnose every run that has a recorded epoch or has failed.

    Args:
        study: Its record.
        shared: By run id, how many of its validation images are among its training images, where it was counted.
    """
    diagnoses: list[RunDiagnosis] = []
    arms: list[ArmDiagnosis] = []
    looked_at: dict[str, int] = {}
    too_short: dict[str, int] = {}
    for arm in ordered_arms(study):
        runs = [run for run in study.runs_of(arm.name) if run.is_failed or (run.state == "finished" and run.epochs)]
        looked_at[arm.name] = len(runs)
        if short := sum(run.state == "finished" and len(run.epochs) < MIN_EPOCHS for run in runs):
            too_short[arm.name] = short
        of_arm = [
            RunDiagnosis(arm.name, run.seed, run.fold, diagnosis)
            for run in runs
            for diagnosis in diagnose(curves_of(study, run, shared_images=(shared or {}).get(run.id)))
        ]
        diagnoses += of_arm
        for kind in dict.fromkeys(one.diagnosis.kind for one in of_arm):
            having = [one for one in of_arm if one.diagnosis.kind == kind]
            first = having[0]
            arms.append(ArmDiagnosis(arm.name, kind, len(having), len(runs), first.diagnosis, first.seed))
    return Diagnoses(study.name, tuple(diagnoses), tuple(arms), looked_at, study.is_leaky, too_short)


def curves_of(study: StudyRecord, run: RunRecord, *, shared_images: int | None = None) -> Curves:
    """A run's curves, with what its study says of its data."""
    if study.sets:
        part, run = part_of_run(study, run)
        return curves_of(part, run, shared_images=shared_images)
    data = study.design.data
    arm = next((arm for arm in study.arms if arm.name == run.arm), None)
    keep = arm.design.training.keep if arm is not None else "last"
    return replace(
        curves_of_run(run),
        num_classes=max(len(study.data.get("classes", ())), 2),
        num_validation=num_validation_of(study.design.data, study.data),
        scaling=data.scaling if study.data.get("dtype", "uint8") == "uint8" else "unit",
        is_best_kept=isinstance(keep, Best),
        shared_images=shared_images,
        class_names=tuple(map(str, study.data.get("classes", ()))),
        protocol=arm.protocol if arm is not None else Protocol(),
    )


def curves_of_run(run: RunRecord) -> Curves:
    """What a run's own record holds: its curves and how it ended, of two classes for all that it knows."""
    return Curves(
        train_loss=[epoch.train_loss for epoch in run.epochs],
        train_accuracy=[epoch.train_accuracy for epoch in run.epochs],
        validation_loss=[epoch.validation_loss for epoch in run.epochs],
        validation_accuracy=[epoch.validation_accuracy for epoch in run.epochs],
        running_loss=[epoch.running_loss for epoch in run.epochs],
        running_accuracy=[epoch.running_accuracy for epoch in run.epochs],
        num_classes=2,
        state=run.state,
        reason=run.reason,
        advice=run.advice,
        health={epoch.epoch: epoch.health for epoch in run.epochs if epoch.health},
    )


def num_validation_of(data: Data, facts: Mapping[str, Any]) -> int:
    """How many images a run is validated on, by what the store knows of its data set; 0 where that is not known."""
    total = int(facts.get("num_training", 0))
    if not total:
        return 0
    if data.num_folds:
        return total // data.num_folds
    if data.is_leaky:
        return int(facts.get("num_test", 0))
    if data.is_given:
        return int(facts.get("num_validation", 0))
    wanted = getattr(data.validation, "last", data.validation)
    if isinstance(wanted, float):
        return round(wanted * total)
    return wanted if isinstance(wanted, int) else 0
