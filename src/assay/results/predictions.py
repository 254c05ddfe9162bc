"""Predicts new images with stored runs, several as an ensemble, calibrated where requested."""

from __future__ import annotations

import csv
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..disk import disk_errors, replacing
from ..errors import DataError, Problem, SpecError
from ..numerals import counted, percent
from .answers import AnswerRequest, Answers, fit_answers, set_names
from .model import Model, find_run, load_models, runs_of_arm
from .recorded import split_of_run

if TYPE_CHECKING:
    import pandas as pd

    from ..data import TrainingData
    from ..prediction import Calibration, Ensemble
    from ..prediction.sources import Extra

_FEWEST_TO_CALIBRATE = 100


@dataclass(frozen=True, eq=False)
class Answered:
    """What runs answer to some images.

    Args:
        probabilities: float32 [n, classes].
        sets: Whether each class is in an image's set [n, classes]; ``None`` where no sets were asked for.
        unlike: How unlike the data each image is, refused above 1 [n]; ``None`` where nothing is refused.
    """

    probabilities: NDArray[np.float32]
    sets: NDArray[np.bool_] | None = None
    unlike: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class RunEnsemble:
    """Runs that predict together.

    Args:
        models: The runs.
        ensemble: Their mean probability, with the fitted temperature if there is one.
        calibration: How it was fitted; ``None`` if it was not.
        shared: How many of the runs judged a validation image on average, where a temperature was fitted.
        answers: Sets of classes and refusal, where they were asked for.
    """

    models: tuple[Model, ...]
    ensemble: Ensemble
    calibration: Calibration | None = None
    shared: float = 0.0
    answers: Answers | None = None

    @cached_property
    def plain(self) -> Ensemble:
        """The same without a temperature: sets are made of the networks' own probabilities."""
        from ..prediction import Ensemble

        if self.ensemble.temperature == 1:
            return self.ensemble
        return Ensemble(self.ensemble.predictors, self.ensemble.classes, self.ensemble.shape)

    def ask(self, images: NDArray[Any], *, are_many: bool | None = None) -> Answered:
        """What the runs answer to images, as the networks take them."""
        from ..prediction import sharpened

        if self.answers is None:
            return Answered(self.ensemble.probabilities(images, are_many=are_many))
        own = self.plain.probabilities(images, are_many=are_many)
        temperature = self.ensemble.temperature
        shown = own if temperature == 1 or not len(own) else sharpened(own, temperature)
        return Answered(shown, self.answers.set_of(own, images), self.answers.unlike(images))

    @property
    def description(self) -> str:
        """Which runs predict, as a phrase."""
        first = self.models[0]
        if len(self.models) == 1:
            return f"run {first.run.id[:10]} ({first.run.arm}, {first.run.label})"
        return f"{counted(len(self.models), 'run')} of {first.run.arm}, by their mean probability"

    @property
    def calibration_note(self) -> str:
        """How confidence was calibrated, as a sentence; empty where it was not."""
        calibration = self.calibration
        if calibration is None:
            return ""
        judged = (
            "" if len(self.models) == 1 else f", each judged by the runs that did not train on it ({self.shared:.1f} of"
        )
        judged += "" if len(self.models) == 1 else f" {len(self.models)} on average)"
        return (
            f"Temperature {calibration.temperature:.3f}, fitted on {calibration.num_images:,} validation images"
            f"{judged}: "
            f"calibration error {percent(calibration.error[0])} before and {percent(calibration.error[1])} after, "
            f"cross-entropy {calibration.loss[0]:.4f} and {calibration.loss[1]:.4f}."
        )


def load_ensemble(
    name: str,
    store: Path,
    *,
    arm: str | None = None,
    calibrated: bool = False,
    request: AnswerRequest | None = None,
) -> RunEnsemble:
    """Loads a run, or all seeds of an arm, ready to predict.

    Args:
        name: The start of a run's id, or a study: then the first seed of its best arm.
        store: The store's folder.
        arm: All finished seeds of this arm of the study, and of the best arm for ``"best"``.
        calibrated: Fit a temperature on validation images.
        request: Sets of classes and refusal, fitted on validation images.

    Raises:
        NoSuchRun: There is no such run or study.
        SpecError: There is no such arm, or there are no validation images to calibrate on, or too few.
        DataError: Weights are missing or damaged, or data that are needed are gone.
    """
    from ..prediction import Ensemble

    named = None if arm == "best" else arm
    record, run = find_run(name, store, arm=named)
    chosen = [run] if arm is None else runs_of_arm(record, named)
    models = load_models(record, chosen, store)
    predictors = [model.predictor for model in models]
    calibration, shared, temperature = None, 0.0, 1.0
    held_out, answers = None, None
    if calibrated or (request is not None and request.sets is not None):
        held_out = _held_out(models, fewest=_FEWEST_TO_CALIBRATE if calibrated else 1)
    if calibrated and held_out is not None:
        calibration, shared = held_out.calibration()
        temperature = calibration.temperature
    if request is not None and not request.is_plain:
        is_best_arm = arm == "best" or (arm is None and name == record.name)
        asked = None if held_out is None else (held_out.mean(), held_out.places)
        answers = fit_answers(models, request, asked, is_best_arm=is_best_arm)
    ensemble = Ensemble(predictors, models[0].classes, models[0].shape, temperature=temperature)
    return RunEnsemble(models, ensemble, calibration, shared, answers)


def _held_out(models: Sequence[Model], *, fewest: int) -> HeldOutPredictions:
    """What those runs that held an image out say of it, of all images that any of them did."""
    training = models[0].dataset.training()
    held_out = np.zeros((len(models), len(training)), dtype=bool)
    for mask, model in zip(held_out, models, strict=True):
        mask[split_of_run(model.study, model.run, training).validation] = True
    predictions = HeldOutPredictions(models, training, held_out, fewest=fewest)
    while predictions.predict_next():
        pass
    return predictions


class HeldOutPredictions:
    """Gathers each run's predictions of images that it did not train on, to calibrate the runs' mean.

    Args:
        models: The runs.
        training: The data that they share.
        held_out: Which images each of them never trained on, bool [runs, n].
        most: Images at most, spread evenly; all of them if ``None``.
        fewest: Images at least.

    Raises:
        SpecError: There are too few images.
    """

    def __init__(
        self,
        models: Sequence[Model],
        training: TrainingData,
        held_out: NDArray[np.bool_],
        *,
        most: int | None = None,
        fewest: int = _FEWEST_TO_CALIBRATE,
    ) -> None:
        chosen = np.flatnonzero(held_out.any(0))
        if len(chosen) < fewest:
            number = len(chosen) or "none"
            what, option = ("sets of classes are", "--sets") if fewest == 1 else ("a temperature is", "--calibrate")
            fix = f"ask runs that have {fewest} or more, or leave {option} out"
            raise SpecError(Problem(f"{what} fitted on validation images, and there are {number}", fix))
        if most is not None and len(chosen) > most:
            chosen = chosen[np.linspace(0, len(chosen) - 1, most).astype(np.int64)]
        self._models, self._training, self._chosen = models, training, chosen
        self._held_out = held_out[:, chosen]
        self._total = np.zeros((len(chosen), len(models[0].classes)), np.float32)
        self._num_done = 0

    def predict_next(self) -> bool:
        """Predicts with the next run; ``False`` if none is left."""
        if self._num_done == len(self._models):
            return False
        mine = np.flatnonzero(self._held_out[self._num_done])
        if len(mine):
            model = self._models[self._num_done]
            self._total[mine] += model.probabilities(self._training.images[self._chosen[mine]])
        self._num_done += 1
        return True

    @property
    def places(self) -> NDArray[np.int64]:
        """Which of the training data's images these are."""
        return self._chosen

    def mean(self) -> NDArray[np.float32]:
        """Each image's mean probabilities, of the runs that did not train on it, float32 [n, classes]."""
        mean: NDArray[np.float32] = (self._total / self._held_out.sum(0)[:, None]).astype(np.float32)
        return mean

    def calibration(self) -> tuple[Calibration, float]:
        """The temperature for the runs' mean, and how many of them judged an image on average."""
        from ..prediction import calibrate

        labels = np.asarray(self._training.labels[self._chosen])
        return calibrate(self.mean(), labels), float(self._held_out.sum(0).mean())


@dataclass
class PredictionStream:
    """Predicts images file by file; ``notes``, ``counts`` and ``skipped`` are complete at the end.

    Iterating gives the names of some images (``None`` where they are counted) and what the runs answer to them, in the
    order of the sources.
    """

    runs: RunEnsemble
    paths: Sequence[Path]
    resize: bool = False
    extra: Extra | None = None
    skip_bad: bool = False
    num_images: int = 0
    notes: tuple[str, ...] = ()
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    num_refused: int = 0
    skipped: tuple[tuple[str, str], ...] = ()

    def __iter__(self) -> Iterator[tuple[tuple[str, ...] | None, Answered]]:
        from ..data.readers.unsuited import listed_bad
        from ..prediction import FEW

        ensemble = self.runs.ensemble
        reader = self.runs.models[0].input_reader(resize=self.resize, skip_bad=self.skip_bad)
        self.num_images, self.counts, self.num_refused = 0, np.zeros(len(ensemble.classes), np.int64), 0
        for batch in reader.files(self.paths, extra=self.extra):
            self.num_images += len(batch.images)
            answered = self.runs.ask(batch.images, are_many=self.num_images > FEW)
            self.counts += np.bincount(answered.probabilities.argmax(1), minlength=len(self.counts))
            if answered.unlike is not None:
                self.num_refused += int((answered.unlike > 1).sum())
            self.notes = reader.notes
            yield batch.names, answered
        self.notes, self.skipped = reader.notes, reader.skipped
        if not self.num_images and self.skipped:
            place = ", ".join(map(str, self.paths))
            raise DataError(Problem(f"none of it is an image: {listed_bad(self.skipped)}", "give some", file=place))
        if not self.num_images:
            raise DataError(Problem("there are no images", "give some", file=", ".join(map(str, self.paths))))


def frame_of(runs: RunEnsemble, images: Sequence[Any], *, resize: bool = False) -> pd.DataFrame:
    """Id, Category, Confidence, where asked for Set (names), Unlike and Refused, and a probability for each class, of
    files and folders, or of one array.

    Raises:
        DataError: Images cannot be read, or have another size.
    """
    import pandas as pd

    classes = np.array(runs.ensemble.classes, object)
    parts: list[tuple[tuple[str, ...] | None, Answered]]
    if len(images) == 1 and not isinstance(images[0], str | Path):
        inputs = runs.models[0].input_reader(resize=resize).array(images[0])
        parts = [(None, runs.ask(inputs))]
    else:
        parts = list(PredictionStream(runs, [Path(path) for path in images], resize=resize))
    probabilities = np.concatenate([part.probabilities for _, part in parts])
    names: list[Any] = [name for known, part in parts for name in known or [None] * len(part.probabilities)]
    frame = pd.DataFrame(probabilities, columns=list(runs.ensemble.classes))
    frame.insert(0, "Id", [number if name is None else name for number, name in enumerate(names)])
    frame.insert(1, "Category", classes[probabilities.argmax(1)])
    frame.insert(2, "Confidence", probabilities.max(1))
    if runs.answers is not None and runs.answers.sets is not None:
        sets = [
            names for _, part in parts if part.sets is not None for names in set_names(part.sets, runs.ensemble.classes)
        ]
        frame.insert(3, "Set", pd.Series(sets, dtype=object))
    if runs.answers is not None and runs.answers.refusals:
        unlike = np.concatenate([part.unlike for _, part in parts if part.unlike is not None])
        frame.insert(frame.shape[1] - len(classes), "Unlike", unlike)
        frame.insert(frame.shape[1] - len(classes), "Refused", unlike > 1)
    return frame


def write_predictions(predictions: PredictionStream, target: Path | None, *, probabilities: bool = False) -> float:
    """Write classes as a table: ``Id,Category``, with ``Confidence`` where it is calibrated, ``Set`` where sets were
    asked for (names with ``|`` between them), ``Unlike`` and ``Refused`` (``yes`` or ``no``) where pictures may be
    refused.

    An image's Id is its file's name, or its number from 0.

    Args:
        predictions: What to write.
        target: The file; standard output if ``None``.
        probabilities: Add a column for each class.

    Returns:
        Seconds that it took.

    Raises:
        DataError: Images cannot be read. No file is written.
        DiskFull: There is no space left.
    """
    started = time.perf_counter()
    if target is None:
        _write(predictions, sys.stdout, probabilities=probabilities)
    else:
        import io

        with disk_errors(target, "written"):
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as raw:
                text = io.TextIOWrapper(raw, encoding="utf-8", newline="")
                _write(predictions, text, probabilities=probabilities)
                text.flush()
                text.detach()
    return time.perf_counter() - started


def _write(predictions: PredictionStream, file: IO[str], *, probabilities: bool) -> None:
    classes = np.array(predictions.runs.ensemble.classes, object)
    is_calibrated = predictions.runs.calibration is not None
    writer = csv.writer(file, lineterminator="\n")
    answers = predictions.runs.answers
    heading = ["Id", "Category", *(["Confidence"] if is_calibrated else [])]
    heading += ["Set"] if answers is not None and answers.sets is not None else []
    heading += ["Unlike", "Refused"] if answers is not None and answers.refusals else []
    writer.writerow([*heading, *(classes if probabilities else [])])
    number = 0
    for names, answered in predictions:
        batch = answered.probabilities
        labels = batch.argmax(1)
        columns: list[Sequence[Any]] = [names or range(number, number + len(batch)), classes[labels].tolist()]
        if is_calibrated:
            columns.append([f"{value:.4f}" for value in batch[np.arange(len(batch)), labels].tolist()])
        if answered.sets is not None:
            columns.append(["|".join(chosen) for chosen in set_names(answered.sets, predictions.runs.ensemble.classes)])
        if answered.unlike is not None:
            columns.append([f"{value:.4g}" for value in answered.unlike.tolist()])
            columns.append(["yes" if value > 1 else "no" for value in answered.unlike.tolist()])
        if probabilities:
            columns += [[f"{value:.6g}" for value in column.tolist()] for column in batch.T]
        writer.writerows(zip(*columns, strict=True))
        number += len(batch)


@contextmanager
def spooled(stream: IO[bytes]) -> Iterator[Path]:
    """A stream's bytes as a file, for as long as they are needed: what it is follows from its first bytes."""
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        path = Path(folder) / "stdin"
        with disk_errors(path, "written"), open(path, "wb") as file:
            shutil.copyfileobj(stream, file)
        yield path
