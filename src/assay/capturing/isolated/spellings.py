"""Old spellings of Keras answered by today's: module names, arguments, methods, lower-case optimizers."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from ..patches import Patches, in_place_of

# Modules of older Keras, and where their names are today.
_MOVED = {
    "keras.utils.np_utils": "keras.utils", "keras.utils.vis_utils": "keras.utils",
    "keras.utils.training_utils": "keras.utils", "keras.utils.generic_utils": "keras.utils",
    "keras.utils.data_utils": "keras.utils", "keras.utils.layer_utils": "keras.utils",
    "keras.utils.all_utils": "keras.utils",
    **{f"keras.layers.{name}": "keras.layers" for name in (
        "core", "convolutional", "pooling", "normalization", "advanced_activations", "merge", "noise", "recurrent",
        "embeddings", "experimental", "experimental.preprocessing", "preprocessing", "reshaping", "attention",
        "normalization.batch_normalization", "regularization", "activation", "wrappers", "local",
    )},
    "keras.engine": "keras", "keras.engine.topology": "keras.layers", "keras.engine.training": "keras.models",
    "keras.engine.input_layer": "keras.layers", "keras.engine.base_layer": "keras.layers",
    "keras.optimizers.legacy": "keras.optimizers", "keras.optimizers.experimental": "keras.optimizers",
    "keras.optimizer_v2": "keras.optimizers", "keras.initializers.initializers_v2": "keras.initializers",
    "keras.api": "keras", "keras.api._v2": "keras", "keras.api._v2.keras": "keras",
    "keras.preprocessing.image": "keras._tf_keras.keras.preprocessing.image",
    "keras.preprocessing.sequence": "keras._tf_keras.keras.preprocessing.sequence",
    "keras.preprocessing.text": "keras._tf_keras.keras.preprocessing.text",
    "keras.regularizers.regularizers": "keras.regularizers",
}  # fmt: skip
_RENAMED = {  # arguments of older Keras's layers, and today's
    "nb_filter": "filters", "output_dim": "units", "p": "rate", "border_mode": "padding", "subsample": "strides",
    "init": "kernel_initializer", "W_regularizer": "kernel_regularizer", "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint", "b_constraint": "bias_constraint", "bias": "use_bias",
    "dim_ordering": "data_format", "nb_epoch": "epochs", "atrous_rate": "dilation_rate",
}  # fmt: skip
_FORMATS = {"tf": "channels_last", "th": "channels_first", "default": None}


class Names(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules that were moved since, and, where TensorFlow is not installed, those below ``tensorflow.keras``.

    Args:
        tensorflow: Whether ``tensorflow.keras`` is answered too.
    """

    def __init__(self, tensorflow: bool) -> None:
        self._tensorflow = tensorflow

    def today(self, name: str) -> str | None:
        """Where a module's names are today; ``None`` for one that is no concern of this."""
        for prefix in ("tensorflow.python.keras", "tensorflow.keras", "tensorflow.compat.v1.keras"):
            if self._tensorflow and (name == prefix or name.startswith(f"{prefix}.")):
                inner = f"keras{name.removeprefix(prefix)}"
                return _MOVED.get(inner, inner)
        return _MOVED.get(name)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        today = self.today(fullname)
        if today is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        today = self.today(spec.name)
        assert today is not None
        source = importlib.import_module(today)
        return Answering(spec.name, source)

    def exec_module(self, module: ModuleType) -> None:
        pass


class Answering(ModuleType):
    """A module whose names are another's."""

    def __init__(self, name: str, source: ModuleType) -> None:
        super().__init__(name)
        self.__dict__["_source"] = source
        self.__dict__["__path__"] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        source = self.__dict__["_source"]
        if hasattr(source, name):
            return getattr(source, name)
        full = f"{self.__name__}.{name}"
        if full in sys.modules:
            return sys.modules[full]
        try:
            return importlib.import_module(full)
        except ImportError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None

    @property
    def __all__(self) -> list[str]:
        return [name for name in dir(self.__dict__["_source"]) if not name.startswith("_")]


def install(keras: Any, patches: Patches, notes: list[str], place: Callable[..., str]) -> None:
    """Lets today's Keras take older arguments and names.

    Args:
        keras: The package.
        patches: What is replaced.
        notes: Get a sentence for each reading that is open to doubt.
        place: Names the line of user's code that is being run.
    """
    layers = keras.layers
    wrapped = (
        "Dense", "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "MaxPooling2D", "AveragePooling2D", "Dropout",
        "BatchNormalization", "Flatten", "Activation", "SpatialDropout2D", "ZeroPadding2D", "PReLU", "Reshape",
        "GlobalAveragePooling2D", "GlobalMaxPooling2D",
    )  # fmt: skip
    for name in wrapped:
        kind = getattr(layers, name)
        patches.set(kind, "__init__", _layer(kind.__init__, name, notes, place))
    patches.set(layers, "Convolution2D", _convolution(layers.Conv2D, notes, place))
    optimizers = keras.optimizers
    for name in ("SGD", "Adam", "AdamW", "RMSprop", "Adadelta", "Adagrad", "Adamax", "Nadam", "Ftrl", "Lion"):
        kind = getattr(optimizers, name, None)
        if kind is not None:
            patches.set(kind, "__init__", _optimizer(kind.__init__))
            patches.set(optimizers, name.lower(), kind)
    patches.set(optimizers, "legacy", optimizers)
    patches.set(keras.callbacks.ModelCheckpoint, "__init__", _checkpoint(keras.callbacks.ModelCheckpoint.__init__))
    plateau = keras.callbacks.ReduceLROnPlateau
    patches.set(plateau, "__init__", _renaming(plateau.__init__, {"epsilon": "min_delta"}))
    patches.set(keras.utils, "np_utils", keras.utils)
    for legacy in ("preprocessing", "experimental"):
        if not hasattr(layers, legacy):
            patches.set(layers, legacy, layers)
    image = importlib.import_module("keras._tf_keras.keras.preprocessing.image")
    for name in dir(image):
        if not hasattr(keras.preprocessing.image, name):
            patches.set(keras.preprocessing.image, name, getattr(image, name))
    generator = image.ImageDataGenerator
    patches.set(generator, "fit", lambda this, *args, **kwargs: None)  # its moments are the study's to compute
    _methods(keras.Model, patches)


def _layer(
    original: Callable[..., None], name: str, notes: list[str], place: Callable[..., str]
) -> Callable[..., None]:
    @in_place_of(original)
    def initialize(this: Any, *args: Any, **kwargs: Any) -> None:
        if name in ("Conv2D", "SeparableConv2D") and len(args) >= 3 and "border_mode" in kwargs:
            args = (args[0], (args[1], args[2]), *args[3:])
        if any(key in kwargs for key in _RENAMED):
            kwargs = {_RENAMED.get(key, key): value for key, value in kwargs.items()}
        if "data_format" in kwargs:
            kwargs["data_format"] = _FORMATS.get(kwargs["data_format"], kwargs["data_format"])
        if "input_dim" in kwargs:
            kwargs["input_shape"] = (kwargs.pop("input_dim"),)
        if name == "BatchNormalization":
            kwargs.pop("mode", None)
        if isinstance(kwargs.get("padding"), str):
            kwargs["padding"] = kwargs["padding"].lower()
        original(this, *args, **kwargs)

    return initialize


def _convolution(kind: Any, notes: list[str], place: Callable[..., str]) -> Callable[..., Any]:
    """Keras 1's ``Convolution2D(filters, rows, columns)``; today its third number would be a stride."""

    def make(*args: Any, **kwargs: Any) -> Any:
        rows, columns = kwargs.pop("nb_row", None), kwargs.pop("nb_col", None)
        if rows is not None and columns is not None:
            kwargs["kernel_size"] = (rows, columns)
        elif len(args) >= 3 and isinstance(args[1], int) and isinstance(args[2], int):
            shown = ", ".join(map(str, args[:3]))
            where = place(sys._getframe(1))
            notes.append(f"{where}: Convolution2D({shown}) is read as Keras 1 does: a kernel of {args[1]} x {args[2]}.")
            args = (args[0], (args[1], args[2]), *args[3:])
        return kind(*args, **kwargs)

    return make


def _optimizer(original: Callable[..., None]) -> Callable[..., None]:
    @in_place_of(original)
    def initialize(this: Any, *args: Any, **kwargs: Any) -> None:
        if "lr" in kwargs:
            kwargs["learning_rate"] = kwargs.pop("lr")
        decay = kwargs.pop("decay", None)
        if kwargs.get("epsilon", 0) is None:
            kwargs.pop("epsilon")
        original(this, *args, **kwargs)
        if decay:
            this.__dict__["assay_decay"] = float(decay)

    return initialize


def _renaming(original: Callable[..., None], names: dict[str, str]) -> Callable[..., None]:
    @in_place_of(original)
    def initialize(this: Any, *args: Any, **kwargs: Any) -> None:
        original(this, *args, **{names.get(key, key): value for key, value in kwargs.items()})

    return initialize


def _checkpoint(original: Callable[..., None]) -> Callable[..., None]:
    """Takes any file name, as older Keras did: nothing is saved here."""

    @in_place_of(original)
    def initialize(this: Any, filepath: Any = "best", *args: Any, **kwargs: Any) -> None:
        for name in ("period", "options"):
            kwargs.pop(name, None)
        ending = ".weights.h5" if kwargs.get("save_weights_only") else ".keras"
        text = str(filepath)
        original(this, text if text.endswith(ending) else f"{text}{ending}", *args, **kwargs)

    return initialize


def _methods(model: Any, patches: Patches) -> None:
    """Methods that models had, and ones that write or compute what nobody needs here."""
    fit = model.fit  # the recorder's

    @in_place_of(fit)
    def today(this: Any, *args: Any, **kwargs: Any) -> Any:
        if "nb_epoch" in kwargs:
            kwargs["epochs"] = kwargs.pop("nb_epoch")
        for name in ("show_accuracy", "workers", "max_queue_size", "use_multiprocessing", "max_q_size", "pickle_safe"):
            kwargs.pop(name, None)
        return fit(this, *args, **kwargs)

    def fit_generator(this: Any, generator: Any, steps_per_epoch: Any = None, epochs: int = 1, **kwargs: Any) -> Any:
        epochs = kwargs.pop("nb_epoch", epochs)
        samples = kwargs.pop("samples_per_epoch", None)
        if samples is not None and steps_per_epoch is None:
            steps_per_epoch = -(-int(samples) // int(getattr(generator, "batch_size", 32)))
        kwargs.pop("nb_val_samples", None)
        steps = None if steps_per_epoch is None else int(steps_per_epoch)
        return today(this, generator, steps_per_epoch=steps, epochs=epochs, **kwargs)

    compile_ = model.compile

    @in_place_of(compile_)
    def compiled(this: Any, *args: Any, **kwargs: Any) -> Any:
        """Metrics came third until Keras 3, where the losses' weights do."""
        is_metrics = len(args) > 2 and isinstance(args[2], str | list | tuple)
        if is_metrics and not all(isinstance(one, int | float) for one in args[2]):
            args, kwargs = (*args[:2], None), {"metrics": args[2], **kwargs}
        return compile_(this, *args, **kwargs)

    patches.set(model, "compile", compiled)
    patches.set(model, "fit", today)
    patches.set(model, "fit_generator", fit_generator)
    evaluate = model.evaluate
    patches.set(model, "evaluate_generator", lambda this, generator, *args, **kwargs: evaluate(this, generator))


def install_outputs(model: Any, patches: Patches, notes: list[str], place: Callable[..., str]) -> None:
    """Answers what would take time or write files: predictions are zeros, nothing is saved or loaded."""
    import numpy as np

    def predict(this: Any, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        width = this.output_shape[-1] if isinstance(getattr(this, "output_shape", None), tuple) else 1
        count = len(x) if hasattr(x, "shape") else int(getattr(x, "samples", getattr(x, "n", 1)) or 1)
        return np.zeros((count, *this.output_shape[1:-1], width), np.float32)

    def predict_classes(this: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        return predict(this, x).argmax(-1)

    def nothing(this: Any, *args: Any, **kwargs: Any) -> None:
        return None

    def load(this: Any, *args: Any, **kwargs: Any) -> None:
        notes.append(f"{place(sys._getframe(1))}: load_weights is left out: a study draws its own first weights.")

    def step(this: Any, *args: Any, **kwargs: Any) -> Any:
        what = "train_on_batch is a training loop of its own, which is not taken over"
        if not any(what in note for note in notes):
            notes.append(f"{place(sys._getframe(1))}: {what}.")
        return [0.0, 0.0]

    answers = {
        "predict": predict, "predict_on_batch": predict, "predict_generator": predict, "predict_proba": predict,
        "predict_classes": predict_classes, "save": nothing, "save_weights": nothing, "export": nothing,
        "load_weights": load, "train_on_batch": step, "test_on_batch": step, "summary": nothing,
    }  # fmt: skip
    for name, answer in answers.items():
        patches.set(model, name, answer)
