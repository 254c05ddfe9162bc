"""What the store remembers, as frozen values. Times are seconds since 1970 (UTC); durations are seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import SpecError, StoreError
from ..measures import Measure
from ..spec import Arm, Data, Study
from ..stats.protocol import Protocol
from ..train.epochs import EpochRecord as EpochRecord
from .columns import BriefRuns, RunColumns
from .image_sets import ImageSets
from .predictions import KeptPredictions, PredictionSource, no_predictions
from .run_record import FAILED as FAILED
from .run_record import RunRecord as RunRecord
from .run_record import State as State


@dataclass(frozen=True)
class ArmRecord:
    """An arm of a study in the store.

    Args:
        name: The arm's name.
        position: Its place among the study's arms, from 0.
        levels: The level of each factor, by the factor's name.
        spec: The arm as JSON values; ``design`` holds the same as an :class:`assay.Arm`.
    """

    name: str
    position: int
    levels: dict[str, str]
    spec: dict[str, Any]

    @cached_property
    def design(self) -> Arm:
        """The arm's network and training.

        Raises:
            StoreError: The version of Assay that stored it had other rules.
        """
        try:
            return Arm.of(self.spec)
        except SpecError as error:
            raise _unreadable(f'arm "{self.name}"', error) from None

    @cached_property
    def protocol(self) -> Protocol:
        """What its runs' diagnosis depends on of ``design``."""
        from .protocol import protocol_of

        return protocol_of(self.design)


@dataclass(frozen=True)
class WeightsRecord:
    """A run's file of weights.

    Args:
        path: Relative to the store's folder.
        sha256: Of its content.
        num_bytes: Its size.
        modified_ns: When it was last changed, as of the last time that its content was known to be this; ``None`` where
            that was not recorded.
    """

    path: str
    sha256: str
    num_bytes: int
    modified_ns: int | None


@dataclass(frozen=True)
class RunProgress:
    """How far a run is: its state, how many epochs are recorded, and whether another search trains it too."""

    state: State
    epochs: int
    is_shared: bool

    @property
    def is_settled(self) -> bool:
        """Whether it failed for good: it would diverge again, or a search has decided on its having failed."""
        return self.state == "diverged" or (self.state in FAILED and self.is_shared)


@dataclass(frozen=True)
class TestScore:
    """A run's score on the test split: loss (nats), accuracy (fraction), which images it gets right, what it says.

    ``hits`` has one bit for each test image, in their order, the first in the highest bit (``numpy.packbits``).
    """

    __test__: ClassVar[bool] = False  # pytest takes a class called Test... for a test case

    loss: float
    accuracy: float
    hits: bytes
    predictions: KeptPredictions | None = None


@dataclass(frozen=True)
class LookRecord:
    """One look at the sealed test split.

    Args:
        time: When, in seconds since 1970.
        num_runs: Runs that it showed.
        num_new: Runs that were scored for the first time.
        is_of_retrained: Whether it showed retrained runs only.
    """

    time: float
    num_runs: int
    num_new: int
    is_of_retrained: bool = False


@dataclass(frozen=True)
class VerdictLook:
    """One look at a study's verdicts on validation images.

    Args:
        number: Its place among the study's looks, from 1.
        time: When, in seconds since 1970.
        planned: The planned seeds of each arm at that time.
        seen: What the verdicts were based on, as JSON values.
    """

    number: int
    time: float
    planned: int
    seen: dict[str, Any]


@dataclass(frozen=True)
class CandidateRecord:
    """What a search drew: values by parameter (of a choice, the level's name), and what a run of it would cost.

    Args:
        number: In the order in which candidates were drawn, from 1.
        trial: Its number among those that are trained, from 1; ``None`` where it was rejected before training.
        chosen: Values of the parameters that are there.
        costs: ``parameters``, ``flops`` and, where it was asked for, ``seconds``; empty where nothing could be built.
        reason: Why it was rejected.
    """

    number: int
    trial: int | None
    chosen: dict[str, Any]
    costs: dict[str, float]
    reason: str = ""


@dataclass(frozen=True)
class SearchRecord:
    """A search. ``facts`` holds what was measured when it began; ``runs`` have ``trial 7`` as their arm."""

    facts: dict[str, Any]
    candidates: tuple[CandidateRecord, ...]
    runs: tuple[RunRecord, ...]

    @property
    def trials(self) -> dict[int, CandidateRecord]:
        """The candidates that are trained, by number."""
        return {one.trial: one for one in self.candidates if one.trial is not None}

    def runs_of(self, trial: int) -> tuple[RunRecord, ...]:
        """A trial's runs, by seed."""
        return tuple(run for run in self.runs if run.arm == trial_name(trial))


def trial_name(trial: int) -> str:
    """What the arm of a trial is called."""
    return f"trial {trial}"


@dataclass(frozen=True)
class StudyRecord:
    """A study with everything that the store holds of it. For a search, arms and runs are those of its finalists.

    Args:
        name: The study's name.
        question: Its question.
        spec: The study as JSON values; ``design`` holds the same as an :class:`assay.Study`.
        data: The data set: name, title, content (SHA-256), shape, classes, num_training, num_test.
        created: When it was first stored, in seconds since 1970.
        updated: When its design was last stored.
        arms: Its arms.
        runs: Its runs.
        looks: Looks at the test split.
        looks_elsewhere: Looks of other studies in the store at the same test images.
        retrained: Runs of an arm that was retrained on training and validation images.
        test_hits: By run id, a bit for each test image: whether the run classifies it correctly (``numpy.packbits``).
        search: The search's trials, if the study is one.
        verdict_looks: Looks at the verdicts.
        source: The origin of results that Assay did not train, such as ``"scores.csv"``.
        validation_hits: By run id, the id of its validation images and a bit for each, as in ``test_hits``.
        image_sets: The validation images by id.
        predictions: Reads the kept predictions of runs.
        judged_by: Another measure than the study's own by which it is judged.
        judged_groups: Groups of training images for that measure.
    """

    name: str
    question: str
    spec: dict[str, Any]
    data: dict[str, Any]
    created: float
    updated: float
    arms: tuple[ArmRecord, ...]
    runs: Sequence[RunRecord]
    looks: tuple[LookRecord, ...] = ()
    looks_elsewhere: int = 0  # of other studies in the store, at the same test images
    retrained: tuple[RunRecord, ...] = ()  # of an arm anew, on training and validation images, for the test alone
    test_hits: Mapping[str, bytes] = field(default_factory=dict)  # by run id, as in TestScore
    search: SearchRecord | None = None
    verdict_looks: tuple[VerdictLook, ...] = ()
    source: str = ""  # of results that Assay did not train: where they come from, such as "scores.csv"
    # By run id: the id of the run's validation images, and a bit for each of these, in their order, whether the kept
    # network gets it right (numpy.packbits). Runs that finished under earlier versions may lack it.
    validation_hits: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)
    image_sets: ImageSets = field(default_factory=ImageSets)
    # What runs say of their images, read from the store where a measure needs it. Runs that finished under earlier
    # versions may lack it.
    predictions: PredictionSource = field(default=no_predictions, compare=False)
    # Another measure than the study's own metric by which it is seen, and groups of its training images for that.
    judged_by: Measure | None = None
    judged_groups: NDArray[np.integer] | None = None

    @cached_property
    def design(self) -> Study:
        """The study, as it was last run.

        Raises:
            StoreError: The version of Assay that stored it had other rules.
        """
        try:
            return _study(json.dumps(self.spec))
        except SpecError as error:
            raise _unreadable(f'study "{self.name}"', error) from None

    @property
    def last_event(self) -> float:
        """The time of the last event: planned, started, finished, or a look at the test split."""
        known = [*self.runs, *self.retrained, *(self.search.runs if self.search is not None else ())]
        moments = [time for run in known for time in (run.started, run.finished) if time is not None]
        return max([self.updated, *moments, *(look.time for look in self.looks)])

    @property
    def is_leaky(self) -> bool:
        """Whether the validation images are the test images, as in a repeated published protocol."""
        return self.design.data.is_leaky

    @property
    def sets(self) -> tuple[str, ...]:
        """The data sets of a study on several; empty otherwise."""
        return tuple(self.data.get("sets", ()))

    def data_on(self, name: str) -> dict[str, Any]:
        """What ``data`` says of one of the study's data sets; the same of the only one."""
        known: dict[str, Any] = self.data.get("sets", {}).get(name, self.data)
        return known

    def retrained_on(self, arm: str) -> str:
        """What an arm's retrained runs learn from: all images that are no test images, or so many of each class."""
        limit, images = self._data_of_arm(self.design.data, arm).training, "training and validation images"
        return f"{limit} of the {images}" if limit else images

    def is_retrained(self, run: RunRecord) -> bool:
        """Whether a run was trained on training and validation images together."""
        return any(known.id == run.id for known in self.retrained)

    def data_of(self, run: RunRecord) -> Data:
        """The data of a run: as its arm learns from them; a retrained run sets no validation images aside."""
        data = self.design.data.for_retraining if self.is_retrained(run) else self.design.data
        return self._data_of_arm(data, run.arm)

    def _data_of_arm(self, data: Data, arm: str) -> Data:
        if not data.is_varied:
            return data
        return data.learning_from(next((known.design.images for known in self.arms if known.name == arm), None))

    def runs_of(self, arm: str) -> tuple[RunRecord, ...]:
        """Return the runs of one arm, by seed and fold.

        Args:
            arm: The arm's name.
        """
        return self._runs_by_arm.get(arm, ())

    @cached_property
    def columns(self) -> RunColumns:
        """``runs`` as arrays."""
        return self.runs.columns if isinstance(self.runs, BriefRuns) else RunColumns.of(self.runs)

    @cached_property
    def cached(self) -> dict[object, Any]:
        """Results that were derived from the record, by what asked for them."""
        return {}

    @cached_property
    def _runs_by_arm(self) -> dict[str, tuple[RunRecord, ...]]:
        by_arm: dict[str, list[RunRecord]] = {}
        for run in self.runs:
            by_arm.setdefault(run.arm, []).append(run)
        return {arm: tuple(sorted(runs, key=lambda run: (run.seed, run.fold or 0))) for arm, runs in by_arm.items()}


@lru_cache(maxsize=64)
def _study(spec: str) -> Study:
    """A stored spec, parsed. By its text: the record of a study that is followed is another one after each change."""
    return Study.of(json.loads(spec))


def _unreadable(what: str, error: SpecError) -> StoreError:
    fix = "put it under today's rules in a study file and run that, or open the store with the version that wrote it"
    return StoreError(
        replace(problem, what=f"the stored spec of {what} breaks a rule of this version: {problem.what}", fix=fix)
        for problem in error.problems
    )
