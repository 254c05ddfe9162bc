"""The networks of an arm, all seeds together, loaded and cached for predictions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, Problem, SpecError
from ..prediction.conformal import SetRule, draws_of, fewest_images, fit_sets
from ..prediction.framing import Framing, framed_picture, framing_of, is_drawable
from ..prediction.refusal import Refusal, fit_refusal
from ..results.answers import AnswerRequest, Answers, fit_answers
from ..results.microcontroller import Agreement, agreement_of, program_of
from ..results.model import Model, load_models, runs_of_arm
from ..results.predictions import HeldOutPredictions
from ..results.recorded import dataset_of, split_of_run
from ..store import StudyRecord
from .limits import MAX_NETWORKS, PICTURE_KINDS, Refused, check_picture

if TYPE_CHECKING:
    from ..data import TrainingData
    from ..export import Program
    from ..prediction import Calibration, Ensemble, InputReader

_T = TypeVar("_T")
_MAX_CACHED = 4
_MAX_ANSWERS = 8  # fitted rules of one panel
_CANDIDATES = 400
_BATCH = 50
_MOST_JUDGED, _FEWEST_JUDGED = 2000, 100  # validation images that a temperature is fitted on
_JUDGED_FLOPS = 2e10  # of one network: about a second, in which drawings wait
COVERAGES = (0.9, 0.95, 0.99)  # of sets of classes, as far as there are validation images for them
REFUSED = 0.05  # of validation images
_REFUSING = 4  # networks that judge whether a picture is unlike the data


@dataclass(frozen=True)
class Pick:
    """A validation image: its index in the training data, its label, the number of networks that never trained on it,
    and the class that these predict."""

    index: int
    label: int
    held_out: int
    predicted: int


class Panel:
    """The networks of one arm.

    Args:
        record: Their study.
        models: One for each seed (and fold).
        num_all: How many there are, where some are left out.
    """

    def __init__(self, record: StudyRecord, models: tuple[Model, ...], num_all: int) -> None:
        self.record = models[0].study if record.sets else record
        self.models = models
        self.num_all = num_all
        self.calibration: Calibration | None = None
        self.shared = 0.0  # how many networks judged an image for it, on average
        self.sets: dict[float, SetRule] = {}  # by coverage
        self.refusals: list[tuple[Model, Refusal]] = []
        self._answers: dict[AnswerRequest, Answers] = {}
        self._programs: dict[str, Program] = {}  # by coding of weights
        self._agreements: dict[str, Agreement | None] = {}

    @property
    def arm(self) -> str:
        return self.models[0].arm.name

    @property
    def classes(self) -> tuple[str, ...]:
        return self.models[0].classes

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels of an image."""
        return self.models[0].shape

    @cached_property
    def reader(self) -> InputReader:
        """Reads pictures as the training images were read; those of any size, since a page is given photographs."""
        return self.models[0].input_reader(resize=True)

    @cached_property
    def ensemble(self) -> Ensemble:
        """All networks as one."""
        from ..prediction import Ensemble

        return Ensemble([model.predictor for model in self.models], self.classes, self.shape)

    def votes(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Each network's probabilities, float32 [networks, n, classes]. Their mean is the ensemble's."""
        return np.stack([model.probabilities(images) for model in self.models])

    def evidence(self, image: NDArray[Any], label: int, places: Sequence[int]) -> NDArray[np.float32] | None:
        """Where in an image [height, width, channels] the evidence for a class lies: the mean of some networks'
        Grad-CAM, float32 [height, width], 0 to 1; ``None`` for networks without feature maps."""
        import torch

        from ..explain.gradcam import grad_cam
        from ..explain.places import maps_on

        maps = []
        for model in (self.models[place] for place in places):
            scaled = model.predictor.scaling.apply(image[None], np.zeros(1, np.int64))
            try:
                maps.append(grad_cam(model.network, scaled, torch.tensor([label]))[0])
            except SpecError:
                return None
        resized: NDArray[np.float32] = maps_on(np.mean(maps, axis=0)[None], self.shape[:2])[0]
        return resized

    def program(self, coding: str) -> Program:
        """The first network in whole numbers.

        Raises:
            SpecError: There is no such coding, or no C code for one of its layers.
            DataError: The data, which say how large activations become, are gone.
        """
        if coding not in self._programs:
            self._programs[coding] = program_of(self.models[0], coding)
        return self._programs[coding]

    def agreement(self, coding: str) -> Agreement | None:
        """How that program compares with its network on validation images; ``None`` where there are none."""
        if coding not in self._agreements:
            self._agreements[coding] = agreement_of(self.models[0], self.program(coding))
        return self._agreements[coding]

    @cached_property
    def training(self) -> TrainingData | None:
        """The data; ``None`` where they are no longer at hand."""
        try:
            return dataset_of(self.record).training()
        except DataError:
            return None

    @cached_property
    def framing(self) -> Framing | None:
        """How a drawing is framed as an image; ``None`` for data that cannot be drawn."""
        if self.training is None or not is_drawable(self.classes, self.training.images[:1000]):
            return None
        return framing_of(self.training.images)

    def image_of(self, content: bytes, *, is_drawing: bool = False, is_framed: bool = False) -> NDArray[Any]:
        """A picture as the networks take it, [height, width, channels].

        Args:
            content: PNG, JPEG or the like.
            is_drawing: It is white ink on black from the page's board.
            is_framed: It shows one character, which is scaled and placed as the data set's own are.

        Raises:
            Refused: It is no picture, too large, or these networks were not trained on single characters.
        """
        check_picture(content, PICTURE_KINDS[:1] if is_drawing else PICTURE_KINDS)
        try:
            if not (is_drawing or is_framed):
                return self.reader.picture(content, "the picture")
            if self.framing is None:
                raise Refused(422, "these networks were not trained on single characters; send a picture as it is")
            return framed_picture(content, self.framing, self.shape, is_drawing=is_drawing)
        except DataError:
            raise Refused(422, "the picture is damaged") from None

    @cached_property
    def held_out(self) -> NDArray[np.bool_]:
        """Which training images each network never trained on, bool [networks, n].

        Raises:
            SpecError: There is none, or they are test images.
        """
        if self.record.is_leaky:
            raise SpecError(Problem("the study's validation images are the test images", "draw, or drop a picture"))
        if self.training is None:
            raise SpecError(Problem("the study's data are no longer at hand", "draw, or drop a picture"))
        masks = np.zeros((len(self.models), len(self.training)), dtype=bool)
        for mask, model in zip(masks, self.models, strict=True):
            mask[split_of_run(self.record, model.run, self.training).validation] = True
        if not masks.any():
            raise SpecError(Problem("the study has no validation images", "draw, or drop a picture"))
        return masks

    @cached_property
    def _held_out_predictions(self) -> HeldOutPredictions:
        held_out = self.held_out
        assert self.training is not None
        return HeldOutPredictions(self.models, self.training, held_out, most=self._most_judged)

    @cached_property
    def _most_judged(self) -> int:
        most = int(_JUDGED_FLOPS / max(self.models[0].summary.flops, 1))
        return min(max(most, _FEWEST_JUDGED), _MOST_JUDGED)

    def calibrate_some(self) -> bool:
        """Ask one more network about the images that it held out, towards ``calibration``, ``sets`` and ``refusals``;
        whether any is left.

        Raises:
            SpecError: There are no validation images, too few of them, or they are test images.
        """
        if self.calibration is None:
            if self._held_out_predictions.predict_next():
                return True
            self._fit_sets()
            self.calibration, self.shared = self._held_out_predictions.calibration()
        if len(self.refusals) < min(len(self.models), _REFUSING):
            return self._fit_refusal(self.models[len(self.refusals)])
        return False

    def gather_some(self, request: AnswerRequest) -> bool:
        """Ask one more network about the images that it held out, towards ``answers``; whether any is left.

        Raises:
            SpecError: As ``calibrate_some`` does.
        """
        if request.sets is None or request in self._answers:
            return False
        return self._held_out_predictions.predict_next()

    def answers(self, request: AnswerRequest, *, is_best_arm: bool = False) -> Answers:
        """Rules for sets of classes and for refusal, as asked for; kept for the next who asks for the same.

        Raises:
            SpecError: There are too few validation images, or one class.
        """
        if request not in self._answers:
            while self.gather_some(request):
                pass
            held = None if request.sets is None else self._held_out_predictions
            asked = None if held is None else (held.mean(), held.places)
            while len(self._answers) >= _MAX_ANSWERS:
                self._answers.pop(next(iter(self._answers)))
            self._answers[request] = fit_answers(self.models, request, asked, is_best_arm=is_best_arm)
        return self._answers[request]

    def _fit_sets(self) -> None:
        held = self._held_out_predictions
        assert self.training is not None
        labels, draws = np.asarray(self.training.labels[held.places]), draws_of(self.training.images[held.places])
        for coverage in COVERAGES:
            if len(labels) >= fewest_images(coverage) and len(self.classes) > 1:
                self.sets[coverage] = fit_sets(held.mean(), labels, draws, coverage=coverage)

    def _fit_refusal(self, model: Model) -> bool:
        """One more network's rule; whether it could be fitted."""
        assert self.training is not None
        split = split_of_run(self.record, model.run, self.training)
        learned, judged = (_some(places, self._most_judged) for places in (split.training, split.validation))
        known = self.training.images[learned], np.asarray(self.training.labels[learned])
        try:
            rule = fit_refusal(model.predictor, known, self.training.images[judged], share=REFUSED)
        except SpecError:  # too few of this network's validation images
            return False
        self.refusals.append((model, rule))
        return True

    def unlike(self, image: NDArray[Any]) -> float | None:
        """How unlike the data an image [height, width, channels] is, refused above 1; ``None`` until that is known."""
        if not self.refusals:
            return None
        return float(np.mean([rule.unlike(model.predictor, image[None])[0] for model, rule in tuple(self.refusals)]))

    @cached_property
    def picks(self) -> tuple[Pick, ...]:
        """Validation images: those first that most networks never saw, the classes by turns.

        Only networks that never trained on an image say what it is.
        """
        held_out = self.held_out
        assert self.training is not None
        counts = held_out.sum(0)
        labels = self.training.labels
        order = [np.flatnonzero((labels == label) & (counts > 0)) for label in range(len(self.classes))]
        order = [places[np.argsort(-counts[places], kind="stable")] for places in order]
        turns = max(map(len, order), default=0)
        by_turns = [
            int(places[turn]) for turn in range(min(turns, _CANDIDATES)) for places in order if turn < len(places)
        ]
        chosen = np.array(by_turns[:_CANDIDATES])
        sums = np.zeros((len(chosen), len(self.classes)))
        for mask, model in zip(held_out, self.models, strict=True):
            if len(places := np.flatnonzero(mask[chosen])):
                sums[places] += model.probabilities(self.training.images[chosen[places]])
        predicted = sums.argmax(1)
        return tuple(
            Pick(int(index), int(labels[index]), int(counts[index]), int(label))
            for index, label in zip(chosen, predicted, strict=True)
        )


def _some(places: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """As many at most, evenly spread, in order."""
    ordered = np.sort(places)
    if len(ordered) <= most:
        return ordered
    return np.asarray(ordered[np.linspace(0, len(ordered) - 1, most).astype(np.int64)])


class Panels:
    """Panels by study and arm; the few used last are cached. All work on networks runs in one thread."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="networks", initializer=_use_one_core)
        self._cache: dict[tuple[Any, ...], Panel] = {}

    async def ask(
        self, record: StudyRecord, arm: str | None, question: Callable[[Panel], _T], *, run: str | None = None
    ) -> tuple[_T, float]:
        """An answer of an arm's networks (the best arm's if ``None``), or of one run's, and the seconds it took.

        Raises:
            SpecError: There is no such arm, or none of its runs has finished.
            DataError: Weights are missing or damaged.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, record, arm, run, question)

    def _answer(
        self, record: StudyRecord, arm: str | None, run: str | None, question: Callable[[Panel], _T]
    ) -> tuple[_T, float]:
        start = time.perf_counter()
        result = question(self._panel(record, arm, run))
        return result, time.perf_counter() - start

    def _panel(self, record: StudyRecord, arm: str | None, run: str | None) -> Panel:
        if run is None:
            runs = runs_of_arm(record, arm)
        else:
            runs = tuple(candidate for candidate in (*record.runs, *record.retrained) if candidate.id.startswith(run))
            if len(runs) != 1:
                what = f'study "{record.name}" has {len(runs) or "no"} runs whose id begins with "{run[:64]}"'
                raise SpecError(Problem(what, "see `assay runs`"))
        chosen = runs[:MAX_NETWORKS]
        key = (record.name, *((candidate.id, candidate.weights_sha256) for candidate in chosen))
        panel = self._cache.pop(key, None)
        if panel is None:
            panel = Panel(record, load_models(record, chosen, self._store), len(runs))
        self._cache[key] = panel
        while len(self._cache) > _MAX_CACHED:
            self._cache.pop(next(iter(self._cache)))
        return panel

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def _use_one_core() -> None:
    """One thread: for a single image, handing work to other threads takes longer than doing it."""
    import torch

    torch.set_num_threads(1)
