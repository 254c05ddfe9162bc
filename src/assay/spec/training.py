"""The spec of training: optimizer, schedule, batch size, stopping, regularisation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from ..errors import Problem, SpecError
from .augmentation import Augmentation
from .base import Problems, Spec
from .bounds import MAX_BATCH, MAX_COUNT, MAX_EPOCHS, MAX_ITERATIONS, MAX_PIXELS_MOVED
from .metric import RECORDED, TrainingMetric
from .own import checked, identity_of_text, is_own, named_text, unused_left_out
from .quantization import Quantization
from .recipes import Distillation, Swa, members_of, none_or
from .schedule import Schedule, accept_placeholders

OptimizerName = Literal["sgd", "adam", "adamw", "rmsprop", "adadelta", "muon", "own"]

# Keras's defaults, which are what the readers of a bare optimizer name mean. Muon's are those of its authors: Keras has
# it for dense kernels alone, and by another scale.
DEFAULTS: dict[str, dict[str, float | bool]] = {
    "sgd": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
    "adam": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "adamw": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "weight_decay": 0.004},
    "rmsprop": {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False},
    "adadelta": {"learning_rate": 0.001, "rho": 0.95, "epsilon": 1e-7},
    "muon": {
        "learning_rate": 0.02,
        "momentum": 0.95,
        "nesterov": True,
        "iterations": 5,
        "normalize": False,
        "weight_decay": 0.0,
        "adam_ratio": 0.05,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-7,
    },
    "own": {"learning_rate": 0.001},
}


_LION = "functools.partial(Lion, weight_decay=0.1)"


class Optimizer(Spec):
    """An optimizer with Keras's formula. Settings that are not given have Keras's defaults.

    A name is a short form: ``optimizer="adam"``. All fields are filled in at construction, so equal optimizers compare
    equal. A field that the optimizer does not have stays ``None``; giving it is an error.

    Args:
        name: ``"sgd"``, ``"adam"``, ``"adamw"``, ``"rmsprop"``, ``"adadelta"`` or ``"muon"``.
        learning_rate: Above 0. By default 0.01 for ``sgd``, 0.02 for ``muon``, 0.001 for the others.
        momentum: In [0, 1). ``sgd`` and ``rmsprop`` (0 by default), ``muon`` (0.95).
        nesterov: Use Nesterov momentum. ``sgd`` (``False`` by default), ``muon`` (``True``).
        beta_1: In [0, 1), 0.9 by default. ``adam``, ``adamw``; ``muon`` for what Adam updates.
        beta_2: In [0, 1), 0.999 by default. As ``beta_1``.
        rho: In [0, 1). ``rmsprop`` (0.9 by default), ``adadelta`` (0.95).
        epsilon: Above 0, 1e-7 by default. All but ``sgd``.
        centered: Divide by the centered second moment. ``rmsprop``, ``False`` by default.
        weight_decay: Decoupled weight decay, 0 or more. ``adamw`` (0.004 by default), ``muon`` (0).
        iterations: Newton-Schulz iterations that make an update orthogonal, 1 to 100. ``muon``, 5 by default.
        normalize: Keep the norm of each kernel. ``muon``, ``False`` by default.
        adam_ratio: The learning rate of everything that Muon leaves to Adam, divided by Muon's. ``muon``, 0.05 by
            default.
        own: A ``torch.optim.Optimizer`` of your own, ``"my_optim.py:Lion(weight_decay=0.1)"``
            (docs/guides/own-code.md). Its settings are its arguments; only ``learning_rate`` is given here.

    Source: Keras 3's optimizers. Muon: Jordan et al. (2024), "Muon: An optimizer for hidden layers in neural networks".

    Example:
        >>> optimizer = assay.Optimizer(name="sgd", learning_rate=0.1, momentum=0.9)
        >>> optimizer.settings()
        {'name': 'sgd', 'learning_rate': 0.1, 'momentum': 0.9}
        >>> assay.Training(optimizer="adam").optimizer.learning_rate
        0.001
    """

    HINTS: ClassVar[dict[str, str]] = {
        "lr": "write learning_rate = 0.001",
        "decay": "give a schedule under [training]",
        "clipnorm": "write clip_norm = ... under [training]",
        "clipvalue": "write clip_value = ... under [training]",
        "global_clipnorm": "write global_clip_norm = ... under [training]",
        "use_ema": "write ema_momentum = 0.99 under [training]",
    }

    name: OptimizerName = "adam"
    learning_rate: float | None = Field(default=None, gt=0)
    momentum: float | None = Field(default=None, ge=0, lt=1)
    nesterov: bool | None = None
    beta_1: float | None = Field(default=None, ge=0, lt=1)
    beta_2: float | None = Field(default=None, ge=0, lt=1)
    rho: float | None = Field(default=None, ge=0, lt=1)
    epsilon: float | None = Field(default=None, gt=0)
    centered: bool | None = None
    weight_decay: float | None = Field(default=None, ge=0)
    iterations: int | None = Field(default=None, ge=1, le=MAX_ITERATIONS, strict=True)
    normalize: bool | None = None
    adam_ratio: float | None = Field(default=None, gt=0)
    own: str | None = None

    @field_validator("own", mode="before")
    @classmethod
    def _own_can_be_read(cls, value: Any) -> Any:
        value = named_text(value, example=_LION, text="my_optim.py:Lion(weight_decay=0.1)")
        return checked(value) if isinstance(value, str) else value

    @model_serializer(mode="wrap")
    def _without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return unused_left_out(handler(self), "own", "iterations", "normalize", "adam_ratio")

    def settings(self) -> dict[str, Any]:
        """Return what a study file writes: the name or the code, and the settings that differ from their defaults."""
        defaults = DEFAULTS[self.name]
        values = self.model_dump(mode="json", exclude_none=True)
        named = {"own": values["own"]} if self.own is not None else {"name": self.name}
        return {**named, **{key: value for key, value in values.items() if key in defaults and value != defaults[key]}}

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, value: Any) -> Any:
        if callable(value) and not isinstance(value, Spec):
            value = named_text(value, example=_LION, text="my_optim.py:Lion(weight_decay=0.1)")
        given = {"own" if is_own(value) else "name": value} if isinstance(value, str) else value
        if isinstance(given, Optimizer):
            return given
        if not isinstance(given, dict):
            is_number = isinstance(given, bool | int | float)
            what = f"got {given!r}" if is_number else f"got an object of {type(given).__name__}"
            fix = 'give a name such as "adam", a table, assay.Optimizer(...), or a class of your own'
            raise ValueError(f"{what}; {fix}")
        own = given.get("own")
        if own is not None:
            if given.get("name", "own") != "own":
                raise ValueError(f"name and own are both given ({given['name']!r} and {own!r}); leave one out")
            foreign = [key for key, v in given.items() if key not in ("own", "name", "learning_rate") and v is not None]
            if foreign:
                raise ValueError(
                    f"an optimizer of your own takes {' and '.join(foreign)} as its arguments: write {own!r} with them"
                )
            return {**DEFAULTS["own"], **{k: v for k, v in given.items() if v is not None}, "name": "own"}
        if given.get("name") == "own":
            raise ValueError('the optimizer "own" needs its code; write own = "FILE.py:CLASS(arguments)"')
        defaults = DEFAULTS.get(given.get("name", "adam"))
        if defaults is None:  # the name itself is wrong, and its own rule says so
            return given
        foreign = [key for key, v in given.items() if key in cls.model_fields and key not in defaults and v is not None]
        foreign = [key for key in foreign if key != "name"]
        if foreign:
            raise ValueError(
                f"{given.get('name', 'adam')} has no {' and no '.join(foreign)}, it has {', '.join(defaults)}"
            )
        return {**defaults, **{k: v for k, v in given.items() if v is not None}}


NONE = Augmentation()
Precision = Literal["float32", "bfloat16"]


class EarlyStopping(Spec):
    """End a run before its last epoch when a metric stops improving, like Keras's ``EarlyStopping``.

    Args:
        metric: The metric to improve: a loss decreases, an accuracy increases, a measure of validation images moves in
            its own direction. ``"metric"`` is the study's metric, which is also the default if the study names one.
            Otherwise ``validation_loss``.
        patience: Epochs without improvement after which the run ends.
        min_delta: A change of the metric up to this size is no improvement, 0 or more.

    Example:
        >>> training = assay.Training(epochs=100, early_stopping=assay.EarlyStopping(patience=10))
        >>> training.early_stopping.metric
        'validation_loss'
    """

    model_config = ConfigDict(json_schema_extra=accept_placeholders)

    metric: TrainingMetric = "validation_loss"
    patience: int = Field(default=5, ge=0, le=MAX_COUNT, strict=True)
    min_delta: float = Field(default=0.0, ge=0)


class Best(Spec):
    """Keep the weights of the epoch with the best metric, like Keras's ``ModelCheckpoint(save_best_only=True)``.

    Args:
        best: The metric: the lowest loss, the highest accuracy, or the best value of a measure of validation images. Of
            equal values the first one counts. ``"metric"`` is the study's metric.

    Example:
        >>> assay.Training(keep=assay.Best(best="validation_loss")).keep.best
        'validation_loss'
    """

    model_config = ConfigDict(json_schema_extra=accept_placeholders)

    best: TrainingMetric


class Evaluation(Spec):
    """Average the logits over several views of each image in evaluation (test-time augmentation).

    Args:
        flip: Add the mirror image (left and right) of each view.
        shift: Add two views, moved by this many pixels to the upper left and to the lower right. 0 adds none.

    Example:
        >>> assay.Evaluation(flip=True, shift=1).num_views
        6
    """

    model_config = ConfigDict(json_schema_extra=accept_placeholders)

    flip: bool = False
    shift: int = Field(default=0, ge=0, le=MAX_PIXELS_MOVED, strict=True)

    @property
    def num_views(self) -> int:
        """The number of views of each image."""
        return (1 + self.flip) * (3 if self.shift else 1)


def _or_none(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [*schema.get("anyOf", []), {"const": "none", "type": "string"}]


def _keep_as_files_write_it(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [*schema.get("anyOf", []), {"const": "best", "type": "string"}]


class Training(Spec):
    """How an arm is trained. The loss is categorical cross-entropy, unless ``loss`` is given.

    Gradient clipping and averaging follow Keras (``clipnorm``, ``global_clipnorm``, ``clipvalue``, ``use_ema``). 0
    switches each of them off. At most one kind of clipping may be given.

    Args:
        epochs: Passes over the training split, 1 to 100,000.
        early_stopping: An :class:`EarlyStopping`, or ``"none"``.
        keep: The epoch whose weights are kept and scored: ``"last"``, ``"best"`` by the study's metric, or a
            :class:`Best`.
        stop_after: End after this many epochs. The schedule is still planned for all ``epochs``.
        batch_size: Images in a step, 1 to 1,000,000. The last, smaller batch of an epoch is used too.
        optimizer: An :class:`Optimizer`, or its name.
        schedule: A :class:`Schedule` of the learning rate, or its name.
        augmentation: An :class:`Augmentation` of training images; ``None`` for none.
        precision: The precision of activations and products: ``"float32"``, ``"bfloat16"``, or ``"auto"``: bfloat16
            where the processor multiplies it and the network takes the fused path. Weights, sums and statistics are
            float32.
        class_weights: The weight of each class in the training loss: a table, in which a class that is left out has 1;
            or ``"balanced"``: images / (classes x images of the class), in the training split; or ``"none"``.
        label_smoothing: The share of each target that is spread over all classes, in [0, 1). Training loss only.
        clip_norm: The largest norm of the gradient of each parameter (each kernel and bias by itself).
        global_clip_norm: The largest norm of all gradients together.
        clip_value: The largest absolute value of a gradient's elements.
        ema_momentum: Evaluate and keep an exponential moving average of the weights with this momentum, in [0, 1).
        evaluation: An :class:`Evaluation`: the views of an image that are averaged for validation, test and
            predictions. ``None``: the image as it is.
        swa: An :class:`Swa`: evaluate and keep the mean of the weights after late epochs. ``None`` for none.
        distillation: A :class:`Distillation`: another arm of the study teaches this one. ``None`` for none.
        ensemble: Train this many networks, 2 to 100, with different random draws, and average their probabilities.
            ``None``: one network.
        quantization: A :class:`Quantization`: train for weights and activations of few bits
            (docs/guides/quantization.md). ``None``: floating point.
        loss: A loss of your own, ``"my_code.py:Focal(gamma=2)"`` (docs/guides/own-code.md). The recorded losses stay
            cross-entropy, so that arms can be compared.
        exclude: ``"doubtful"``: leave out training images whose labels the arm's network doubts when it has not trained
            on them. Validation and test images stay.

    Raises:
        SpecError: One or more rules are broken; ``problems`` holds each.

    Example:
        >>> training = assay.Training(
        ...     epochs=30,
        ...     batch_size=64,
        ...     optimizer=assay.Optimizer(name="adamw", weight_decay=0.01),
        ...     schedule="cosine",
        ...     augmentation=assay.Augmentation(flip="horizontal", crop=2),
        ... )
        >>> training.schedule.name
        'cosine'
    """

    HINTS: ClassVar[dict[str, str]] = {
        **{
            name: f'it is the optimizer\'s: write optimizer = {{ name = "adam", {meant} = ... }}'
            for name, meant in {
                "lr": "learning_rate", "learning_rate": "learning_rate", "weight_decay": "weight_decay",
                "beta_1": "beta_1", "beta_2": "beta_2", "epsilon": "epsilon",
            }.items()
        },
        **{
            name: f'it is the optimizer\'s: write optimizer = {{ name = "{owner}", {name} = ... }}'
            for name, owner in {"momentum": "sgd", "nesterov": "sgd", "rho": "rmsprop", "centered": "rmsprop"}.items()
        },
        "metrics": "leave it out: loss and accuracy are always recorded",
        "callbacks": "see early_stopping, keep and schedule",
        "validation_split": 'write validation = "last 10%" under [data]',
        "seed": "write count = ... under [seeds]",
        "clipnorm": "write clip_norm = ...",
        "clipvalue": "write clip_value = ...",
        "global_clipnorm": "write global_clip_norm = ...",
        "use_ema": "write ema_momentum = 0.99",
        "quantize": "write quantization = { weights = 8, activations = 8 }",
        "dtype_policy": "see quantization and precision",
    }  # fmt: skip

    # Settings that came later: where they have their default, the run is the one that it was before they were known.
    _LATER: ClassVar[tuple[str, ...]] = (
        "early_stopping", "keep", "stop_after", "class_weights", "label_smoothing", "clip_norm", "global_clip_norm",
        "clip_value", "ema_momentum", "loss",
    )  # fmt: skip

    epochs: int = Field(default=10, ge=1, le=MAX_EPOCHS, strict=True)
    early_stopping: EarlyStopping | Literal["none"] = "none"
    keep: Best | Literal["last"] = Field(default="last", json_schema_extra=_keep_as_files_write_it)
    stop_after: int | None = Field(default=None, ge=1, le=MAX_EPOCHS, strict=True)
    batch_size: int = Field(default=128, ge=1, le=MAX_BATCH, strict=True)
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    augmentation: Augmentation | None = None
    precision: Precision | Literal["auto"] = "auto"
    class_weights: dict[str, float] | Literal["balanced", "none"] = "none"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    clip_norm: float = Field(default=0.0, ge=0)
    global_clip_norm: float = Field(default=0.0, ge=0)
    clip_value: float = Field(default=0.0, ge=0)
    ema_momentum: float = Field(default=0.0, ge=0, lt=1)
    evaluation: Evaluation | None = None
    swa: Swa | None = Field(default=None, json_schema_extra=_or_none)
    distillation: Distillation | None = Field(default=None, json_schema_extra=_or_none)
    ensemble: int | None = Field(default=None, strict=True, json_schema_extra=_or_none)
    quantization: Quantization | None = Field(default=None, json_schema_extra=_or_none)
    loss: str | None = None
    exclude: Literal["doubtful", "none"] | None = None

    @property
    def planned_epochs(self) -> int:
        """The most epochs that a run may take."""
        return min(self.epochs, self.stop_after or self.epochs)

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures of validation images that early stopping, the kept epoch and the learning rate depend on."""
        rules = (
            self.early_stopping.metric if isinstance(self.early_stopping, EarlyStopping) else None,
            self.keep.best if isinstance(self.keep, Best) else None,
            self.schedule.metric,
        )
        return tuple(dict.fromkeys(name for name in rules if name is not None and name not in (*RECORDED, "metric")))

    def with_measures(self, rename: Callable[[str], str]) -> Training:
        """Return the same training with each of :attr:`measures` renamed.

        Args:
            rename: Maps a name to another one.
        """
        known = {name: rename(name) for name in self.measures}
        update: dict[str, Any] = {}
        if isinstance(self.early_stopping, EarlyStopping) and self.early_stopping.metric in known:
            name = known[self.early_stopping.metric]
            update["early_stopping"] = self.early_stopping.model_copy(update={"metric": name})
        if isinstance(self.keep, Best) and self.keep.best in known:
            update["keep"] = self.keep.model_copy(update={"best": known[self.keep.best]})
        if self.schedule.metric in known:
            update["schedule"] = self.schedule.model_copy(update={"metric": known[self.schedule.metric]})
        return self.model_copy(update=update) if update else self

    def identity(self) -> dict[str, Any]:
        """Return what a run depends on, as JSON values."""
        values = self.model_dump(mode="json", exclude_none=True)
        later = {name: type(self).model_fields[name].default for name in self._LATER}
        kept = {key: value for key, value in values.items() if key not in later or value != later[key]}
        if self.loss is not None:
            kept["loss"] = identity_of_text(self.loss)
        for part, own in (("optimizer", self.optimizer.own), ("augmentation", (self.augmentation or NONE).own)):
            if own is not None:
                kept[part] = {**kept[part], "own": identity_of_text(own)}
        return {**kept, "schedule": self.schedule.identity()}

    @model_serializer(mode="wrap")
    def _without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        names = "loss", "evaluation", "swa", "distillation", "ensemble", "quantization", "exclude"
        return unused_left_out(handler(self), *names)

    @field_validator("loss", mode="before")
    @classmethod
    def _is_ones_own(cls, value: Any) -> Any:
        value = named_text(value, example="functools.partial(Focal, gamma=2)", text="my_losses.py:Focal(gamma=2)")
        if value is not None and not is_own(value):
            raise ValueError(
                f'got {value!r}; leave it out: it is categorical cross-entropy; one of your own is "FILE.py:NAME(...)"'
            )
        return checked(value)

    @classmethod
    def settings_of(cls, given: Any) -> Any:
        """Return ``[training]`` as plain settings by name, as a study holds them.

        Args:
            given: A :class:`Training`, whose explicitly given fields count; or a table, which may hold specs, functions
                and classes of your own. Anything else is returned unchanged.
        """
        if isinstance(given, cls):
            names = [name for name in cls.model_fields if name in given.model_fields_set]
            return {name: _plain(name, getattr(given, name)) for name in names}
        if isinstance(given, Mapping):
            return {name: _plain(name, value) for name, value in given.items()}
        return given

    def _modifiers(self) -> tuple[tuple[str, bool], ...]:
        return (
            ("class_weights", self.class_weights != "none"),
            ("label_smoothing", self.label_smoothing > 0),
            ("mixup", self.augmentation is not None and self.augmentation.mixup > 0),
            ("cutmix", self.augmentation is not None and self.augmentation.cutmix > 0),
            ("distillation", self.distillation is not None),
        )

    @field_validator("early_stopping", mode="before")
    @classmethod
    def _is_a_rule_or_none(cls, value: Any) -> Any:
        if value == "none" or isinstance(value, EarlyStopping):
            return value
        if isinstance(value, dict):
            return _spec_or_problems(EarlyStopping, value)
        raise ValueError(
            f'got {value!r}; give a table such as {{ metric = "validation_loss", patience = 5 }}, or "none"'
        )

    @field_validator("keep", mode="before")
    @classmethod
    def _is_last_or_best(cls, value: Any) -> Any:
        if value == "last" or isinstance(value, Best):
            return value
        if value == "best":
            return Best(best="metric")
        if isinstance(value, dict):
            return _spec_or_problems(Best, value)
        raise ValueError(f'got {value!r}; give "last", "best" or a table such as {{ best = "validation_loss" }}')

    @field_validator("class_weights", mode="before")
    @classmethod
    def _are_weights_of_classes(cls, value: Any) -> Any:
        if value in ("none", "balanced"):
            return value
        if not isinstance(value, dict) or not value:
            raise ValueError(f'got {value!r}; give "balanced", "none" or a table such as {{ 0 = 1.0, 8 = 2.5 }}')
        problems = [
            Problem(f"got {weight!r}", "give a number above 0", str(name))
            for name, weight in value.items()
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf
        ]
        if problems:
            raise Problems(problems)
        return {str(name): float(weight) for name, weight in value.items()}

    _reads_swa = field_validator("swa", mode="before")(none_or("swa", "{ start = 0.75 }"))
    _reads_distillation = field_validator("distillation", mode="before")(none_or("distillation", '{ teacher = "big" }'))
    _reads_members = field_validator("ensemble", mode="before")(members_of)

    @field_validator("augmentation")
    @classmethod
    def _off_is_none(cls, value: Augmentation | None) -> Augmentation | None:
        return value if value is not None and value.changes_anything else None

    @field_validator("quantization", mode="before")
    @classmethod
    def _none_is_floating_point(cls, value: Any) -> Any:
        if value is None or value == "none" or isinstance(value, Quantization):
            return None if value == "none" else value
        if isinstance(value, dict):
            return _spec_or_problems(Quantization, value)
        raise ValueError(f'got {value!r}; give a table such as {{ weights = 4, activations = 8 }}, or "none"')

    @field_validator("exclude")
    @classmethod
    def _nothing_is_none(cls, value: str | None) -> str | None:
        return None if value == "none" else value

    @field_validator("evaluation")
    @classmethod
    def _one_view_is_none(cls, value: Evaluation | None) -> Evaluation | None:
        return value if value is not None and value.num_views > 1 else None

    @model_validator(mode="after")
    def _settings_agree(self) -> Self:
        warmup = self.schedule.warmup_epochs or 0
        if warmup >= self.epochs:
            what = f"the warm-up takes {warmup:g} epochs of {self.epochs}"
            raise Problems([Problem(what, "give fewer, or more epochs", "schedule.warmup_epochs")])
        modified = [name for name, is_on in self._modifiers() if is_on]
        if self.loss is not None and modified:
            what = f"{' and '.join(modified)} modify cross-entropy, and the loss is your own"
            raise Problems([Problem(what, "leave them out, or put them into the loss", "loss")])
        if self.ensemble is not None and self.quantization is not None:
            what = "training in whole numbers is for one network's program, and this is an ensemble"
            fix = "leave one of them out, or let a network in whole numbers learn from the ensemble (distillation)"
            raise Problems([Problem(what, fix, "ensemble")])
        if self.swa is not None and self.ema_momentum:
            what = "ema_momentum and swa both say which average of the weights counts"
            raise Problems([Problem(what, "give one of them", "swa")])
        if self.swa is not None and self.planned_epochs < self.swa.first_epoch(self.epochs):
            first = self.swa.first_epoch(self.epochs)
            what = f"weights are averaged from epoch {first} on, and the run ends after {self.planned_epochs}"
            raise Problems([Problem(what, "give a smaller start, or let it train longer", "swa.start")])
        clips = [name for name in ("clip_norm", "global_clip_norm", "clip_value") if getattr(self, name)]
        if len(clips) > 1:
            raise Problems([Problem(f"{' and '.join(clips)} are given", "give one of them", clips[-1])])
        return self


def _plain(name: str, value: Any) -> Any:
    """A setting of ``[training]`` as a study file writes it."""
    if callable(value) and not isinstance(value, Spec):  # a function or a class of one's own, as Training reads it
        value = getattr(Training.of({name: value}), name)
    if isinstance(value, Optimizer | Schedule):
        return value.settings()
    if isinstance(value, Spec):
        return value.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    return value


def _spec_or_problems(model: type[Spec], values: dict[str, Any]) -> Spec:
    """A spec from a table, in a field that accepts other types too: only the table's own problems are raised."""
    try:
        return model.of(values)
    except SpecError as error:
        raise Problems(error.problems) from None
