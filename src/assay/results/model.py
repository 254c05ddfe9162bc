"""Finished runs as networks: found by name, with their weights verified and images scaled as in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import NoSuchRun, Problem, SpecError, StoreError, nearest
from ..spec import Arm
from ..spec.arms import arm_name
from ..store import RunRecord, StudyRecord, open_reader, part_of_run
from .recorded import dataset_of, split_of_run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..data import Dataset
    from ..nets import Summary
    from ..nets.build import Network
    from ..prediction import InputReader
    from ..train.predictor import Predictor

_SHORTEST_ID = 4


@dataclass(frozen=True, eq=False)
class Model:
    """A finished run's network with its weights, in float32 on PyTorch.

    Args:
        study: The record of its study.
        run: The record of its run.
        arm: Its network and training.
        summary: Its layers, shapes and costs.
        predictor: The network in evaluation mode, with the scaling of its training.
        store: The store's folder.
    """

    study: StudyRecord
    run: RunRecord
    arm: Arm
    summary: Summary
    predictor: Predictor
    store: Path

    @property
    def network(self) -> Network:
        """The PyTorch module: scaled images [n, channels, height, width] to logits [n, classes].

        For an ensemble it is the first member; ``predictor.network`` holds all of them.
        """
        from ..nets.ensemble import members_of

        return members_of(self.predictor.network)[0]

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, by label."""
        return tuple(self.study.data["classes"])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.study.data["shape"]
        return height, width, channels

    def input_reader(self, *, resize: bool = False, skip_bad: bool = False) -> InputReader:
        """Return a reader that reads images, arrays and files as the study's training images were read.

        Args:
            resize: Resize images of another size. Otherwise they are refused.
            skip_bad: Leave out files that are no images.
        """
        from ..prediction import InputReader

        return InputReader.of(self.study, resize=resize, skip_bad=skip_bad)

    @cached_property
    def dataset(self) -> Dataset:
        """The data of its study.

        Raises:
            DataError: The data are missing or have changed.
        """
        return dataset_of(self.study)

    @property
    def is_retrained(self) -> bool:
        """Whether it was trained on validation images too."""
        return self.study.is_retrained(self.run)

    def validation(self) -> tuple[NDArray[np.uint8] | NDArray[np.float32], NDArray[np.int64]]:
        """Return the run's validation images and their labels: uint8 or float32 [n, height, width, channels], and [n].

        Raises:
            SpecError: The run was trained on every training image.
            DataError: The data are missing or have changed.
        """
        data = self.dataset.training()
        chosen = split_of_run(self.study, self.run, data).validation
        if not len(chosen):
            raise SpecError(Problem("the run has no validation images", "name a run of the study that has some"))
        return data.images[chosen], data.labels[chosen]

    def probabilities(self, images: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of each class, float32 [n, classes].

        Args:
            images: Stored images [n, height, width, channels], as :meth:`validation` returns them.
        """
        return self.predictor.probabilities(images)

    def once(self) -> Predictor:
        """Return the predictor for a single view of each image, which is what an exported file computes."""
        from ..train.predictor import Predictor

        return Predictor(self.predictor.network, self.predictor.scaling)


def load_models(record: StudyRecord, runs: Sequence[RunRecord], store: Path) -> tuple[Model, ...]:
    """These finished runs of a study as models.

    The study's data are read only where images are standardised by them.

    Args:
        record: The study.
        runs: Some of its runs, retrained ones too.
        store: The store's folder.

    Raises:
        SpecError: One of them has not finished.
        DataError: Weights are missing or damaged, or data that are needed are gone.
    """
    from ..runner.bases import based
    from ..runner.plan import recorded_arms
    from ..seeds import Streams
    from ..train.checkpoint import load_weights
    from ..train.networks import network_of
    from ..train.predictor import Predictor
    from ..train.prepared import Prepared
    from ..train.scaling import scaling_of

    if record.sets:
        placed = [part_of_run(record, run) for run in runs]
        return tuple(model for part, run in placed for model in load_models(part, [run], store))
    study = record.design
    arms = recorded_arms(record)
    height, width, channels = record.data["shape"]
    num_classes = len(record.data["classes"])
    needs_data = study.data.scaling == "standard"
    training = dataset_of(record).training() if needs_data else None
    models = []
    for run in runs:
        if run.state != "finished" or run.weights_path is None or run.weights_sha256 is None:
            raise SpecError(
                Problem(f"run {run.id[:10]} ({run.arm}, {run.label}) is {run.state}", "name one that has finished")
            )
        arm, weights = based(arms[run.arm].at(run.seed), (height, width, channels), num_classes, store)
        streams = Streams(run.seed, frozenset(study.seeds.vary))
        network = network_of(arm, (height, width, channels), num_classes, streams, weights)
        base = network.summary.base
        if training is None:
            images = np.empty((0, height, width, channels), record.data["dtype"])
            reference = np.empty(0, np.int64)
        else:
            images, reference = training.images, split_of_run(record, run, training).training
        scaling = Prepared(base.preparation) if base else scaling_of(images, study.data.scaling, reference)
        predictor = Predictor(network, scaling, arm.training.evaluation)
        predictor.load_weights(load_weights(store / run.weights_path, run.weights_sha256))
        models.append(Model(record, run, arm, network.summary, predictor, store))
    return tuple(models)


def find_run(name: str, store: Path, *, arm: str | None = None) -> tuple[StudyRecord, RunRecord]:
    """A run by the first characters of its id, or by its study's name: then the first seed of the study's best arm.

    The best arm is the one with the highest mean validation accuracy (in a search that goes by loss, the lowest mean
    validation loss); its first seed is as good as any other, where the seed with the best score would be the luckiest.

    Args:
        name: The start of an id, or a study.
        store: The store's folder.
        arm: Of the study, instead of its best.

    Raises:
        NoStore: There is no store.
        NoSuchRun: There is no such run or study.
        StoreError: More than one run's id begins so.
        SpecError: The study has no finished run.
    """
    with open_reader(store) as reader:
        known = reader.study_names()
        if name in known:
            record = reader.study(name)
            return record, runs_of_arm(record, arm)[0]
        matches = reader.runs_called(name) if len(name) >= _SHORTEST_ID else {}
        if len(matches) > 1:
            raise StoreError(
                Problem(f'{len(matches)} runs have ids that begin with "{name}"', "write more of it", file=str(store))
            )
        if not matches:
            fix = nearest(name, known) if known else "run a study first"
            what = f'there is no run whose id begins with "{name}", and no study of that name'
            raise NoSuchRun(Problem(what, f"see `assay runs`; {fix}", file=str(store)))
        (identity, study), *_ = matches.items()
        record = reader.study(study)
    return record, next(run for run in (*record.runs, *record.retrained) if run.id == identity)


def runs_of_arm(record: StudyRecord, arm: str | None) -> tuple[RunRecord, ...]:
    """The finished runs of one arm, by seed and fold; of the best arm (``report.best_arm``) if ``None``.

    Raises:
        SpecError: There is no such arm, or none of its runs has finished.
    """
    from ..analysis import best_arm

    arms = [known.name for known in record.arms]
    if arm is None and record.sets:
        what = f'study "{record.name}" has several data sets, and no arm is the best of all'
        raise SpecError(Problem(what, f'name an arm, such as "{arms[0]}", or a run by its id', "arm"))
    if arm is not None:
        arm = arm_name(arm, arms, record.name)
    chosen = arm if arm is not None else best_arm(record)
    runs = tuple(run for run in record.runs_of(chosen) if run.state == "finished") if chosen else ()
    if not runs:
        what = f'arm "{chosen}" of study "{record.name}"' if arm is not None else f'study "{record.name}"'
        raise SpecError(Problem(f"{what} has no finished run", "run it first, or see why in `assay runs`"))
    return runs
