"""The last step of a study: the chosen arm anew, on training and validation images together, for the test alone."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data import Dataset
from ..errors import Problem, SpecError
from ..nets.own import located
from ..spec import Arm, Best, Device, EarlyStopping, Study, Training, own_calls
from ..spec.arms import arm_name
from ..spec.metric import is_of_validation
from ..store import RunRecord, StoreWriter, StudyRecord
from .plan import Plan, recorded_arms, task_of, with_labels


@dataclass(frozen=True)
class RetrainPlan(Plan):
    """A chosen arm's runs without validation images."""

    def register(self, writer: StoreWriter) -> None:
        members = [(arm, task.seed, task.id) for arm, task in self.members]
        writer.put_retrained(self.study.name, members, self.run_rows())


def retrain_plan(
    study: Study, record: StudyRecord, arm: str, dataset: Dataset, store: Path, *, device: Device = "cpu"
) -> RetrainPlan:
    """One run of an arm for each of its seeds, with no image set aside.

    Where the study learns from so many images of each class, so do these runs, drawn from all training images.

    What validation images decided cannot be decided without them, so it is taken over from the seed's own run: where
    a metric of theirs stopped runs or chose their epoch, the new run ends after as many epochs (with folds, their
    median).

    Args:
        study: The study as it stands.
        record: What the store knows of it. A seed whose run failed is left out.
        arm: The arm's name.
        dataset: The prepared data set.
        store: The store's folder.
        device: What trains them.

    Raises:
        SpecError: There is no such arm, its runs have not finished, or its protocol cannot do without validation.
        NoCode: Code of one's own that its runs were trained with is not at hand.
    """
    recorded = recorded_arms(record)
    arms = {known.name: _on_its_base(known, recorded.get(known.name)) for known in study.expand()} or recorded
    arm = arm_name(arm, list(arms), study.name)
    if study.data.is_leaky:
        what = "its runs are trained on every training image already, and chosen on the test images"
        raise SpecError(Problem(f'study "{study.name}" cannot be retrained: {what}', "set validation images aside"))
    runs = record.runs_of(arm)
    waiting = sum(run.state in ("queued", "running", "paused") for run in runs)
    if waiting or not runs:
        raise SpecError(
            Problem(f'{waiting or "all"} of the runs of arm "{arm}" have not finished', "run the study first")
        )
    if arms[arm].training.distillation is not None:
        what = f'arm "{arm}" learns from another arm\'s runs, which have not seen the validation images'
        raise SpecError(Problem(f"{what} that it would be trained on", "reveal it without --retrain"))
    for _, call in own_calls(arms[arm]):
        located(call)  # before anything is written
    data = study.data.for_retraining
    members = []
    for seed in sorted({run.seed for run in runs}):
        folds = [run for run in runs if run.seed == seed]
        if all(run.state == "finished" for run in folds):
            chosen = with_labels(arms[arm].at(seed), dataset.info)
            training = without_validation(chosen.training, folds)
            anew = chosen.model_copy(update={"training": training})
            members.append((arm, task_of(anew, data, study.seeds.vary, dataset, store, seed=seed, device=device)))
    if not members:
        raise SpecError(Problem(f'no seed of arm "{arm}" has finished', "see why in assay runs, or choose another arm"))
    return RetrainPlan(
        study, tuple(arms.values()), dataset.record(), tuple(members), phase="trained anew without validation images"
    )


def _on_its_base(arm: Arm, recorded: Arm | None) -> Arm:
    """The arm with the very code of one's own, and on the very weights, that its runs stand on, and with what its
    searches have chosen."""
    if recorded is not None and (recorded.search is not None or any(True for _ in own_calls(recorded))):
        return recorded
    if arm.base is None or recorded is None:
        return arm
    return arm.model_copy(update={"base": recorded.base})


def without_validation(training: Training, runs: Sequence[RunRecord]) -> Training:
    """The protocol for a run without validation images, from that of runs with them.

    Raises:
        SpecError: The learning rate follows a validation metric.
    """
    schedule, stopping, keep = training.schedule, training.early_stopping, training.keep
    if schedule.metric is not None and is_of_validation(schedule.metric):
        fix = 'give the plateau a metric of training, such as "train_loss"'
        raise SpecError(Problem("the learning rate follows the validation images", fix, "training.schedule.metric"))
    metrics = [stopping.metric] if isinstance(stopping, EarlyStopping) else []
    metrics += [keep.best] if isinstance(keep, Best) else []
    if not any(map(is_of_validation, metrics)):
        return training
    epochs = round(statistics.median(run.kept.epoch for run in runs if run.kept))
    settled = {"early_stopping": "none", "keep": "last", "stop_after": epochs if epochs < training.epochs else None}
    return training.model_copy(update=settled)
