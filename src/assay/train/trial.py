"""Tries code of one's own before a study trains it: trained twice for a few steps, an arm must end in the same bits."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import Problem, RunError, SpecError
from ..nets import Summary
from ..nets.effects import Image
from ..nets.own.construct import seeded
from ..nets.own.description import ROOT
from ..nets.own.importing import reason_of
from ..nets.own.network import network_from
from ..seeds import Streams
from ..spec import Training, training_calls
from ..spec.training import Precision
from .learner import Batch
from .own_parts import augmentation_of
from .plain import PlainLearner
from .scaling import scaling_of

STEPS, MOST_IMAGES = 4, 8
_FLOPS = 4_000_000_000  # of a batch's forward pass, so that a large network is tried in seconds too
_SEED = 2018
_KEY = "layers[0]"


@dataclass(frozen=True)
class _Global:
    """A generator of the whole process, whose state says whether it was drawn from."""

    name: str
    state: Callable[[], Any]
    fix: str


_GLOBALS = (
    _Global(
        "NumPy's global generator",
        lambda: np.random.get_state()[1:3],  # type: ignore[index]
        "draw with torch, whose generator each step's seed sets",
    ),
    _Global("Python's random", random.getstate, "draw with torch, whose generator each step's seed sets"),
    _Global(
        "torch's global generator in evaluation mode",
        torch.get_rng_state,
        "give functional.dropout training=self.training, and draw only where self.training",
    ),
)


def try_arm(summary: Summary, training: Training, precision: Precision = "float32") -> None:
    """Train an arm with code of one's own on a few random images, twice and once resumed in the middle.

    Args:
        summary: Of its network.
        training: Its protocol, whose own parts are known by their source.
        precision: Which it will train in.

    Raises:
        NoCode: The code of a part is not at hand.
        SpecError: It cannot be trained, draws from a generator that no seed sets, or keeps state outside parameters and
            buffers: what changed is named.
    """
    calls = dict(training_calls(training))
    texts = [] if summary.own is None else [summary.own.call.identity]
    texts += [f"{key} {call.identity}" for key, call in calls.items()]
    if "training.augmentation.own" in calls:
        _try_augmentation(training, summary.input_shape, calls["training.augmentation.own"].call)
    is_trained = summary.base is None and (summary.own is not None or set(calls) - {"training.augmentation.own"})
    if is_trained:
        carried = _Carried(summary, training)
        _tried(carried, tuple(texts), summary.input_shape, summary.num_classes, precision)


class _Carried:
    """Carries a summary and a protocol past the cache: the other arguments say already what they are."""

    def __init__(self, summary: Summary, training: Training) -> None:
        self.summary, self.training = summary, training

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Carried)

    def __hash__(self) -> int:
        return 0


def _subject_of(summary: Summary, training: Training) -> tuple[str, str]:
    """What is blamed where a trial fails, and its key: the module, else the loss or the optimizer."""
    if summary.own is not None:
        return summary.own.call.call, _KEY
    key, call = next((key, call) for key, call in training_calls(training) if key != "training.augmentation.own")
    return call.call, key


@cache
def _tried(carried: _Carried, texts: tuple[str, ...], image: Image, num_classes: int, precision: Precision) -> None:
    trial = _Trial(carried.summary, carried.training, precision)
    name, key = _subject_of(carried.summary, carried.training)
    with _one_thread(), seeded(_SEED):
        what = f"{name} cannot be trained"
        try:
            whole, first_scores = trial.run(name, key)
            again, scores = trial.run(name, key)
            what = f"{name} cannot go on from a checkpoint"
            resumed, _ = trial.run(name, key, resume=True)
        except (SpecError, RunError):
            raise
        except Exception as error:
            raise SpecError(Problem(f"{what}: {reason_of(error)}", "correct it", key)) from error
    changed = " and ".join(trial.changed[:3])
    kept = "keeps state outside its parameters and buffers" + (f": {changed}" if changed else "")
    fix = "keep it with self.register_buffer, so that a run that is resumed goes on with it"
    if key != _KEY:
        kept, fix = "keeps state that no checkpoint has", "let it depend on its arguments, or its state_dict(), alone"
    if not _same(whole, again) or not torch.equal(first_scores, scores):
        what = f"{name} trained twice from the same seed ends in other bits"
        raise SpecError(Problem(f"{what}: {kept}, or draws from the clock", fix, key))
    if not _same(whole, resumed):
        raise SpecError(Problem(f"{name} {kept}", fix, key))
    if not all(bool(torch.isfinite(value).all()) for value in whole.values() if value.is_floating_point()):
        raise SpecError(
            Problem(f"{name} trains to weights that are no numbers, within {STEPS} steps", "correct it", key)
        )


def _try_augmentation(training: Training, image: Image, name: str) -> None:
    """Vary a few random images twice with the same key."""
    key = "training.augmentation.own"
    change = augmentation_of(training)
    assert change is not None
    images = np.random.default_rng(_SEED).integers(0, 256, (MOST_IMAGES, *image), dtype=np.uint8)
    try:
        first = watched(name, key, lambda: change(images.copy(), 1))
        second = change(images.copy(), 1)
    except SpecError:
        raise
    except Exception as error:
        what = f"{name} cannot vary images: {reason_of(error)}"
        fix = "it is called with images [batch, channels, height, width] and a torch.Generator"
        raise SpecError(Problem(what, fix, key)) from error
    if not np.array_equal(first, second):
        what = f"{name} varies the same images otherwise with the same generator"
        raise SpecError(Problem(what, "draw from the generator that it is given, alone", key))


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Sums over several threads may differ by their order; that is no fault of the module."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        value.contiguous().numpy().tobytes() == other[key].contiguous().numpy().tobytes() for key, value in one.items()
    )


class _Trial:
    """A few steps on random images.

    ``changed`` names the attributes of the module that are neither parameters nor buffers and that training changed.
    """

    def __init__(self, summary: Summary, training: Training, precision: Precision) -> None:
        self.summary, self.training, self.precision = summary, training, precision
        generator = np.random.default_rng(_SEED)
        self.batch = max(2, min(MOST_IMAGES, _FLOPS // max(summary.flops, 1)))
        shape = (STEPS * self.batch, *summary.input_shape)
        self.images: NDArray[np.uint8] = generator.integers(0, 256, shape, dtype=np.uint8)
        self.labels = generator.integers(0, summary.num_classes, len(self.images))
        self.scaling = scaling_of(self.images, "unit", np.arange(len(self.images)))
        self.changed: list[str] = []

    def _learner(self) -> PlainLearner:
        network, training = network_from(self.summary, Streams(_SEED)), self.training
        return PlainLearner(network, training.optimizer, self.scaling, training=training, precision=self.precision)

    def _attributes(self, learner: PlainLearner) -> dict[str, Any]:
        return {} if self.summary.own is None else attributes_of(learner.network.get_submodule(ROOT))

    def run(self, name: str, key: str, *, resume: bool = False) -> tuple[dict[str, Tensor], Tensor]:
        """The weights after all steps, and the scores of the first images then."""
        learner = self._learner()
        before = self._attributes(learner)
        for step in range(STEPS):
            if resume and step == STEPS // 2:
                state = {**learner.weights(), **learner.slots()}
                learner = self._learner()
                learner.load_weights(state)
                learner.load_slots(state)
            chosen = np.arange(step * self.batch, (step + 1) * self.batch)
            batch = Batch(self.images, chosen, self.labels[chosen])
            watched(name, key, lambda: learner.train_batch(batch, step=step, learning_rate=1e-3))  # noqa: B023
        if not resume:
            after = self._attributes(learner)
            self.changed = [part for part in after if before.get(part) != after[part]]
        scores = watched(name, key, lambda: self._scores(learner, 0))
        self._scores(learner, self.batch)
        if not torch.equal(scores, self._scores(learner, 0)):
            after = self._attributes(learner)
            changed = [part for part in after if before.get(part) != after[part]]
            what = f"{name} gives the same images other scores each time in evaluation mode"
            what += f": it changes {' and '.join(changed[:3])}" if changed else ""
            fix = "let it depend on the images, its parameters and its buffers alone"
            raise SpecError(Problem(what, fix, key))
        return learner.weights(), scores

    @torch.no_grad()
    def _scores(self, learner: PlainLearner, start: int) -> Tensor:
        learner.network.eval()
        chosen = np.arange(start, start + self.batch)
        scores: Tensor = learner.network(self.scaling.apply(self.images, chosen))
        return scores.clone()


def watched(name: str, key: str, work: Callable[[], Any]) -> Any:
    """What some work returns, which must not draw from a generator of the whole process.

    Raises:
        SpecError: It did.
    """
    before = [_comparable(known.state()) for known in _GLOBALS]
    result = work()
    for known, state in zip(_GLOBALS, before, strict=True):
        if _comparable(known.state()) != state:
            fix = known.fix if key == _KEY else "draw from the generator that it is given, or not at all"
            what = known.name if key == _KEY else known.name.removesuffix(" in evaluation mode")
            raise SpecError(Problem(f"{name} draws from {what}, which no run seeds", fix, key))
    return result


def _comparable(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.numpy().tobytes()
    if isinstance(state, tuple):
        return tuple(_comparable(part) for part in state)
    return state.tobytes() if isinstance(state, np.ndarray) else state


def attributes_of(module: nn.Module) -> dict[str, Any]:
    """The plain attributes of a module and its parts, as ``Class.attribute (part)``."""
    values: dict[str, Any] = {}
    for name, part in module.named_modules():
        where = f" (in {name})" if name else ""
        for key, value in vars(part).items():
            if key.startswith("_") and hasattr(nn.Module(), key):
                continue
            if key != "training":
                values[f"{type(part).__name__}.{key}{where}"] = _plain(value)
        for key in part._non_persistent_buffers_set:
            values[f"{type(part).__name__}.{key}{where}"] = _plain(getattr(part, key))
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True).double().numpy().tobytes()
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, torch.Generator):
        return value.get_state().numpy().tobytes()
    if isinstance(value, bool | int | float | str | bytes | None):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return repr(value) if isinstance(value, np.generic | set | frozenset) else None
