"""A module that answers ``import tensorflow`` by Keras on torch, where TensorFlow is not installed."""

from __future__ import annotations

import contextlib
import logging
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from .pipeline import AUTOTUNE, Dataset
from .random_operations import of_tensorflow

_TYPES = ("float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool", "string")
_OTHERWISE = {
    "reduce_mean": "mean", "reduce_sum": "sum", "reduce_max": "max", "reduce_min": "min", "reduce_prod": "prod",
    "concat": "concatenate", "range": "arange", "pow": "power", "fill": "full",
    "constant": "convert_to_tensor", "image_resize": "image.resize", "to_float": "cast",
}  # fmt: skip


class TensorFlow(ModuleType):
    """``tensorflow`` as far as files that train image classifiers need it; what it lacks raises AttributeError."""

    def __init__(self, keras: Any) -> None:
        super().__init__("tensorflow")
        ops = keras.ops
        self.__dict__["__path__"] = []
        self.__version__ = self.VERSION = "2.16.0"
        self.keras, self.newaxis = keras, None
        for name in ("optimizers", "losses", "metrics", "initializers"):  # as tf.keras's
            setattr(self, name, getattr(keras, name))
        for name in _TYPES:
            setattr(self, name, name)
        self.Tensor = self.Variable = type(ops.zeros(1))
        self.executing_eagerly = lambda: True
        self.function = _function
        self.GradientTape = _tape
        self.cast, self.one_hot = _cast(ops), _one_hot(ops)
        self.random = SimpleNamespace(
            set_seed=keras.utils.set_random_seed, uniform=keras.random.uniform, normal=keras.random.normal,
            set_random_seed=keras.utils.set_random_seed,
        )  # fmt: skip
        self.set_random_seed = keras.utils.set_random_seed
        self.nn = _Ops(ops, "tensorflow.nn", keras.activations)
        self.math = _Ops(ops, "tensorflow.math")
        self.image = _Images(ops)
        autotune = SimpleNamespace(AUTOTUNE=AUTOTUNE)
        self.data = SimpleNamespace(Dataset=Dataset, AUTOTUNE=AUTOTUNE, experimental=autotune, Options=SimpleNamespace)
        self.config = _Config()
        self.test = SimpleNamespace(gpu_device_name=lambda: "", is_gpu_available=lambda *_, **__: False,
                                    is_built_with_cuda=lambda: False)  # fmt: skip
        self.distribute = _Strategies()
        self.device = lambda *_, **__: contextlib.nullcontext()
        self.get_logger = lambda: logging.getLogger("tensorflow")
        self.autograph = _Quiet()
        v1: Any = _Quiet()
        v1.keras, v1.set_random_seed, v1.logging = keras, keras.utils.set_random_seed, _Quiet()
        self.compat = SimpleNamespace(v1=v1)
        self.logging = _Quiet()
        self.__dict__["_ops"] = _Ops(ops, "tensorflow")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_ops" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.__dict__["_ops"], name)


class _Ops:
    """Operations of ``keras.ops`` under TensorFlow's names."""

    def __init__(self, ops: Any, name: str, activations: Any = None) -> None:
        self._ops, self._name, self._activations = ops, name, activations

    def __getattr__(self, name: str) -> Any:
        if self._activations is not None and hasattr(self._activations, name):
            return getattr(self._activations, name)  # a layer's activation, which Keras knows by its name
        target: Any = self._ops
        for part in _OTHERWISE.get(name, name).split("."):
            target = getattr(target, part, None)
        if target is None:
            raise AttributeError(f"{self._name}.{name} is not there: TensorFlow is not installed")
        return _with_tensors(target)


def _with_tensors(function: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        renamed = {"reduction_indices": "axis", "keep_dims": "keepdims", "features": "x", "logits": "x"}
        return function(*args, **{renamed.get(key, key): value for key, value in kwargs.items()})

    return call


class _Images:
    """``tf.image``: sizes, colours and flips; what draws at random is collected, or recognised by that it does."""

    def __init__(self, ops: Any) -> None:
        self._ops = ops

    def resize(self, images: Any, size: Any, *_: Any, **__: Any) -> Any:
        return self._ops.image.resize(images, tuple(int(side) for side in size))

    def rgb_to_grayscale(self, images: Any) -> Any:
        return self._ops.image.rgb_to_grayscale(images)

    def grayscale_to_rgb(self, images: Any) -> Any:
        return self._ops.repeat(images, 3, axis=-1)

    def convert_image_dtype(self, image: Any, dtype: str = "float32", **_: Any) -> Any:
        value = np.asarray(image) if not hasattr(image, "dtype") else image
        is_whole = "int" in str(value.dtype)
        converted = self._ops.cast(value, dtype)
        return converted / 255 if is_whole else converted

    def resize_with_crop_or_pad(self, image: Any, target_height: int, target_width: int) -> Any:
        for axis, side in ((-3, int(target_height)), (-2, int(target_width))):
            given = int(image.shape[axis])
            before = abs(given - side) // 2
            if given > side:
                kept: list[Any] = [slice(None)] * len(image.shape)
                kept[axis] = slice(before, before + side)
                image = image[tuple(kept)]
            elif given < side:
                margins = [[0, 0] for _ in image.shape]
                margins[axis] = [before, side - given - before]
                image = self._ops.pad(image, margins)
        return image

    resize_image_with_crop_or_pad = resize_with_crop_or_pad

    def flip_left_right(self, image: Any) -> Any:
        return self._ops.flip(image, axis=-2)

    def flip_up_down(self, image: Any) -> Any:
        return self._ops.flip(image, axis=-3)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("random_"):
            raise AttributeError(f"tensorflow.image.{name} is not there: TensorFlow is not installed")

        def vary(image: Any, *args: Any, **settings: Any) -> Any:
            names = {"random_contrast": ("lower", "upper"), "random_saturation": ("lower", "upper")}
            given = {**dict(zip(names.get(name, ("max_delta",)), args, strict=False)), **settings}
            is_crop = name == "random_crop"
            if not of_tensorflow(name, image, given):
                return self._ops.cast(image, "float32") + float(np.random.default_rng().random()) * 1e-3
            size = [int(side) for side in (args[0] if args else settings["size"])] if is_crop else []
            return self.resize_with_crop_or_pad(image, size[-3], size[-2]) if is_crop else image

        return vary


class _Config:
    """No devices but the processor, and settings of devices without effect."""

    def __init__(self) -> None:
        self.experimental = _Quiet()
        self.threading = _Quiet()

    def list_physical_devices(self, *_: Any) -> list[Any]:
        return []

    list_logical_devices = list_physical_devices

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


class _Quiet:
    """Anything called on it does nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return [] if name.isupper() else lambda *_, **__: []


class _Strategies:
    """Distribution over devices, of which there is one."""

    def __getattr__(self, name: str) -> Any:
        if not name.endswith("Strategy") and name != "get_strategy":
            raise AttributeError(name)
        strategy = SimpleNamespace(scope=contextlib.nullcontext, num_replicas_in_sync=1)
        return lambda *_, **__: strategy


def _tape(*_: Any, **__: Any) -> Any:
    raise NotImplementedError(
        "a training loop of its own, with GradientTape, is not taken over: train with compile and fit, or name the "
        "network in a study file"
    )


def _function(function: Any = None, **_: Any) -> Any:
    return function if callable(function) else lambda inner: inner


def _cast(ops: Any) -> Any:
    def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
        if isinstance(x, np.ndarray):
            return x.astype(str(dtype))
        return ops.cast(x, str(dtype).replace("<dtype: '", "").replace("'>", ""))

    return cast


def _one_hot(ops: Any) -> Any:
    def one_hot(indices: Any, depth: int, **_: Any) -> Any:
        values = np.asarray(indices) if not hasattr(indices, "detach") else indices
        return ops.one_hot(values, int(depth))

    return one_hot
