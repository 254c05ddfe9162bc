"""Records what Keras models are compiled and fitted with."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from ..convert.compiled import Compiled
from ..convert.live import defines, graph_of
from ..convert.network import Words, words_of
from ..errors import InputError, Problem, SpecError
from .callbacks import settings_of
from .feed import Feed, feed_of
from .patches import Patches, WhenImported, in_place_of
from .places import place as place_here
from .recording import Fit, Recording

# Not tensorflow: its keras is one of these, loaded when it is first used. Asked for while Keras itself imports
# TensorFlow, it would stay half loaded.
MODULES = ("keras", "tf_keras")
_COMPILE_WITHOUT_EFFECT = (
    "optimizer", "loss", "metrics", "run_eagerly", "steps_per_execution", "jit_compile", "auto_scale_loss", "self",
)  # fmt: skip
# What a model of the user's own may do otherwise than Keras where it trains.
_TRAINING_METHODS = ("train_step", "compute_loss", "make_train_function", "compute_gradients")
_FIRST_WEIGHTS = "gives it weights to begin with; a study draws its own."
_FIT_NOTED = {
    "sample_weight": None, "validation_steps": None, "validation_freq": 1,
}  # fmt: skip


class Recorder:
    """Replaces ``compile``, ``fit`` and ``evaluate`` of Keras's models by ones that record.

    Args:
        runs: Whether ``fit`` goes on to train. If not, it returns at once with a history of zeros.
        place: Names the line of user's code that is being run.
    """

    def __init__(self, *, runs: bool = True, place: Callable[..., str] = place_here) -> None:
        self.runs = runs
        self.recordings: list[Recording] = []
        self._place = place
        self._patches = Patches()
        self._waiting = WhenImported(MODULES, self._patch)
        self._places: dict[int, str] = {}
        self._depth = 0
        self._classes: set[type] = set()

    def start(self) -> None:
        """Records from now on, whether Keras is imported already or will be."""
        self._waiting.start()

    def stop(self) -> None:
        """Keras as it was before; what was recorded stays."""
        self._waiting.stop()
        self._patches.undo()
        self._classes.clear()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Records nothing meanwhile; models are compiled and trained as ever."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    @contextmanager
    def recording_alone(self) -> Iterator[Recorder]:
        """A recorder whose ``fit`` returns at once: this one, or another where this one has stopped."""
        if not self._classes:
            other = Recorder(runs=False, place=self._place)
            other.start()
            try:
                yield other
            finally:
                other.stop()
            return
        before, self.runs = self.runs, False
        try:
            yield self
        finally:
            self.runs = before

    def place_of(self, thing: Any) -> str:
        """Where a layer, optimizer or callback was made; empty if that is not known."""
        return self._places.get(id(thing), "")

    def _patch(self, module: ModuleType) -> None:
        model = getattr(module, "Model", None)
        if not isinstance(model, type) or model in self._classes:
            return
        self._classes.add(model)
        for name in ("compile", "fit", "evaluate"):
            self._patches.set(model, name, self._wrapped(name, getattr(model, name)))
        for name in ("load_weights", "set_weights"):
            self._patches.set(model, name, self._loading(name, getattr(model, name)))
        owners = [module.layers.Layer, module.optimizers.Optimizer, module.callbacks.Callback]
        for owner in owners:
            self._patches.set(owner, "__init__", self._placed(owner.__init__))

    def _placed(self, original: Callable[..., None]) -> Callable[..., None]:
        @in_place_of(original)
        def initialize(this: Any, *args: Any, **kwargs: Any) -> None:
            self._places[id(this)] = self._place(sys._getframe(1))
            original(this, *args, **kwargs)

        return initialize

    def _loading(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        """Gives a model other first weights, which its recording notes."""

        @in_place_of(original)
        def load(this: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._depth and not self.recording_of(this).fits:
                where = self._place(sys._getframe(1))
                self.recording_of(this).notes.append(f"{where}: {name} before fit {_FIRST_WEIGHTS}")
            with self.paused():
                return original(this, *args, **kwargs)

        return load

    def _wrapped(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        record = {"compile": self._compile, "fit": self._fit, "evaluate": self._evaluate}[name]
        signature = inspect.signature(original)

        @in_place_of(original)
        def method(this: Any, *args: Any, **kwargs: Any) -> Any:
            if self._depth:  # Keras calls its own methods
                return original(this, *args, **kwargs)
            bound = signature.bind(this, *args, **kwargs)
            bound.apply_defaults()
            values = {**bound.arguments, **bound.arguments.get("kwargs", {})}
            place = self._place(sys._getframe(1))
            if name == "compile":
                result = self._inside(original, this, args, kwargs)
                record(this, values, place)
                return result
            record(this, values, place)
            if self.runs:
                try:
                    return self._inside(original, this, args, kwargs)
                except Exception:
                    if name == "fit":  # it will be corrected and called again
                        self.recording_of(this).fits.pop()
                    raise
            return _history(this, values) if name == "fit" else _scores(this)

        return method

    def _inside(self, original: Callable[..., Any], this: Any, args: Any, kwargs: Any) -> Any:
        with self.paused():
            return original(this, *args, **kwargs)

    def recording_of(self, model: Any) -> Recording:
        """The model's record, a new one if there is none."""
        for recording in self.recordings:
            if recording.model is model:
                return recording
        recording = Recording(model, str(getattr(model, "name", "model")), Compiled())
        self.recordings.append(recording)
        return recording

    def _compile(self, model: Any, values: dict[str, Any], place: str) -> None:
        recording = self.recording_of(model)
        more = [
            f"{place}: compile has {key} = {str(value)[:60]}, which has no word here."
            for key, value in values.items()
            if key not in (*_COMPILE_WITHOUT_EFFECT, "kwargs") and value not in (None, False, [], {})
        ]
        recording.compiled = self._compiled(model, place, values, more)
        recording.words = self._words(model)

    def _compiled(self, model: Any, place: str, values: dict[str, Any], notes: Sequence[str]) -> Compiled:
        optimizer = _inner(model.optimizer)
        policy = getattr(getattr(model, "dtype_policy", None), "name", "float32")
        inner = [
            getattr(getattr(layer, "dtype_policy", None), "name", policy) for layer in getattr(model, "layers", [])
        ]
        policy = next((name for name in inner if name != "float32"), policy)
        return Compiled(
            place, type(optimizer).__name__, _config(optimizer), _rate(optimizer), _schedule(optimizer),
            self.place_of(optimizer) or place, values.get("loss"), values.get("metrics"), str(policy), tuple(notes),
        )  # fmt: skip

    def _words(self, model: Any, shape: Sequence[int] | None = None) -> Words | InputError:
        for method in _TRAINING_METHODS:
            if defines(model, method):
                what = f"{type(model).__name__} has a {method} of its own, which is code"
                fix = "leave it out, or write its loss or optimizer as code of your own (docs/guides/own-code.md)"
                return SpecError(Problem(what, fix, self.place_of(model)))
        try:
            return words_of(graph_of(model, self.place_of, shape))
        except InputError as error:
            return error
        except Exception as error:  # a model that Keras itself built and that is of a kind not met so far
            what = f"its network cannot be read ({type(error).__name__}: {str(error)[:120]})"
            return SpecError(Problem(what, "write its layers as words (docs/reference/study-file.md)"))

    def _fit(self, model: Any, values: dict[str, Any], place: str) -> None:
        recording = self.recording_of(model)
        if getattr(model, "optimizer", None) is None:
            return  # Keras itself refuses: it is not compiled
        compiled = recording.compiled
        if compiled.place:  # its rate may have been set since
            optimizer = _inner(model.optimizer)
            compiled = Compiled(**{**vars(compiled), "rate": _rate(optimizer), "config": _config(optimizer)})
        else:
            compiled = self._compiled(model, place, {"loss": getattr(model, "loss", None)}, ())
        if not recording.fits and _steps(model.optimizer):
            recording.notes.append(f"{place}: the model was trained before, which {_FIRST_WEIGHTS}")
        epochs = int(values.get("epochs") or 1) - int(values.get("initial_epoch") or 0)
        notes = self._fit_notes(values, place)
        feed = _caught(feed_of, values.get("x"), values.get("y"), values.get("batch_size"), place)
        validation = _validation(values.get("validation_data"), place)
        if not isinstance(feed, InputError) and getattr(model, "built", True) is False:
            _build(model, feed)
        callbacks = _listed(values.get("callbacks"))
        settings, more = settings_of(
            callbacks, lambda one: self.place_of(one) or place, epochs=max(1, epochs), rate=compiled.rate
        )
        recording.fits.append(
            Fit(
                place, compiled, self._words(model, _shape(feed)), feed, validation,
                float(values.get("validation_split") or 0.0), max(1, epochs), settings, values.get("class_weight"),
                values.get("steps_per_epoch"), (*notes, *more),
            )
        )  # fmt: skip

    def _fit_notes(self, values: dict[str, Any], place: str) -> list[str]:
        notes = []
        for key, usual in _FIT_NOTED.items():
            value = values.get(key, usual)
            if value is not None and not (isinstance(value, int) and value == usual):
                shown = value if isinstance(value, int | float | str) else "given"
                notes.append(f"{place}: fit has {key} = {shown}, which has no word here and is left out.")
        if first := values.get("initial_epoch"):
            notes.append(f"{place}: fit has initial_epoch = {first}; its epochs count from there.")
        if values.get("shuffle") is False:
            notes.append(f"{place}: fit keeps the images' order (shuffle = False); here every epoch has its own.")
        return notes

    def _evaluate(self, model: Any, values: dict[str, Any], place: str) -> None:
        x, y = values.get("x"), values.get("y")
        feed = _caught(feed_of, x, y, None, place)
        if isinstance(feed, Feed) and feed.images is not None and feed.labels is not None:
            self.recording_of(model).tests.append((feed.images * feed.front.scale + feed.front.offset, feed.labels)
                                                  if feed.front.rescales else (feed.images, feed.labels))  # fmt: skip


def _caught(read: Callable[..., Feed], *args: Any) -> Feed | InputError:
    try:
        return read(*args)
    except InputError as error:
        return error
    except Exception as error:
        what = f"what fit reads cannot be looked at ({type(error).__name__}: {str(error)[:80]})"
        return SpecError(Problem(what, "give arrays", str(args[-1])))


def _validation(data: Any, place: str) -> Feed | InputError | None:
    if data is None:
        return None
    if isinstance(data, list | tuple) and len(data) in (2, 3):
        return _caught(feed_of, data[0], data[1], None, place)
    return _caught(feed_of, data, None, None, place)


def _build(model: Any, feed: Feed) -> None:
    """Gives a model that has no input shape that of its images, as its first batch would."""
    shape = _shape(feed)
    if shape is None or not any(kind.__name__ == "Sequential" for kind in type(model).__mro__):
        return
    try:
        model.build((None, *shape))
    except Exception:
        return


def _shape(feed: Feed | InputError) -> Sequence[int] | None:
    """Of an image, as the model gets it."""
    if isinstance(feed, InputError):
        return None
    if feed.images is not None:
        return tuple(feed.images.shape[1:])
    return (*feed.size, feed.channels) if feed.size is not None else None


def _listed(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    if isinstance(callbacks, list | tuple):
        return list(callbacks)
    return list(getattr(callbacks, "callbacks", [callbacks]))


def _inner(optimizer: Any) -> Any:
    """The optimizer itself, where one that scales losses for float16 is around it."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _config(optimizer: Any) -> dict[str, Any]:
    """Its settings, with the decay that older Keras had."""
    decay = vars(optimizer).get("assay_decay")
    return {**optimizer.get_config(), **({"decay": decay} if decay else {})}


def _rate(optimizer: Any) -> float:
    schedule = _schedule(optimizer)
    if schedule is not None:
        return _number(schedule(0))
    return _number(optimizer.learning_rate)


def _schedule(optimizer: Any) -> Any:
    """The schedule object that its rate is; ``None`` where the rate is a number."""
    rate = getattr(optimizer, "_learning_rate", None)
    is_schedule = callable(rate) and hasattr(rate, "get_config") and not hasattr(rate, "assign")
    return rate if is_schedule else None


def _steps(optimizer: Any) -> float:
    """How often it has changed the weights."""
    iterations = getattr(_inner(optimizer), "iterations", None)
    return 0.0 if iterations is None else _number(iterations)


def _number(value: Any) -> float:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    number = float(value.numpy()) if hasattr(value, "numpy") else float(value)
    return float(f"{number:.7g}")  # a float32 back to what was written


class _Zeros(dict):  # type: ignore[type-arg]
    """A history of a run that never was: as many zeros as epochs, under every name."""

    def __init__(self, epochs: int, names: Sequence[str]) -> None:
        super().__init__({name: [0.0] * epochs for name in names})
        self._epochs = epochs

    def __missing__(self, name: str) -> list[float]:
        return [0.0] * self._epochs


def _history(model: Any, values: dict[str, Any]) -> Any:
    epochs = max(1, int(values.get("epochs") or 1))
    callback = next(kind for kind in type(model).__mro__ if kind.__name__ == "Model")
    module = sys.modules[callback.__module__.split(".")[0]]
    history = module.callbacks.History()
    names = ["loss", "accuracy"]
    if values.get("validation_data") is not None or values.get("validation_split"):
        names += ["val_loss", "val_accuracy"]
    history.history = _Zeros(epochs, names)
    history.epoch = list(range(epochs))
    history.params = {"epochs": epochs}
    history.set_model(model)
    return history


def _scores(model: Any) -> Any:
    metrics = _listed(getattr(getattr(model, "_compile_metrics", None), "_user_metrics", None))
    return [0.0] * (1 + max(1, len(metrics)))
