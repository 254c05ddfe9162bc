"""Answers loaders of known data sets from Assay's registry, without a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...data import is_available, prepare
from ..known import stand_in
from ..patches import Patches
from .guard import Guard

_OPENML = {"mnist_784": "mnist", "fashion-mnist": "fashion_mnist", "cifar_10": "cifar10", "cifar-10": "cifar10"}


class Loaders:
    """The loaders of known data sets, and which were called.

    Args:
        guard: Is lifted while Assay reads its own files.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self.loaded: list[str] = []

    def arrays(self, name: str) -> Any:
        """(training images, labels), (test images, labels): uint8 [n, height, width, channels] and int64 [n]."""
        self.loaded.append(name)
        with self._guard.lifted():
            if not is_available(name):
                return stand_in(name)
            dataset = prepare(name)
            training, test = dataset.training(), dataset.test()
            return (np.array(training.images), np.array(training.labels)), (
                np.array(test.images),
                np.array(test.labels),
            )

    def install(self, keras: Any, patches: Patches) -> None:
        """Replaces ``load_data`` of the data sets of ``keras.datasets`` that the registry has."""
        for name in ("mnist", "fashion_mnist", "cifar10", "cifar100"):
            patches.set(getattr(keras.datasets, name), "load_data", self._load(name))

    def _load(self, name: str) -> Callable[..., Any]:
        def load_data(*args: Any, **kwargs: Any) -> Any:
            (x, y), (xt, yt) = self.arrays(name)
            if x.shape[-1] == 1:
                return (x[..., 0], y.astype(np.uint8)), (xt[..., 0], yt.astype(np.uint8))
            return (x, y.astype(np.uint8)[:, None]), (xt, yt.astype(np.uint8)[:, None])

        return load_data

    def install_sklearn(self, module: Any, patches: Patches) -> None:
        """Replaces ``sklearn.datasets.fetch_openml``."""
        original = module.fetch_openml

        def fetch_openml(name: Any = None, *args: Any, **kwargs: Any) -> Any:
            known = _OPENML.get(str(name).lower())
            if known is None:
                return original(name, *args, **kwargs)
            (x, y), (xt, yt) = self.arrays(known)
            values: Any = np.concatenate([x, xt]).reshape(len(x) + len(xt), -1).astype(float)
            target: Any = np.concatenate([y, yt]).astype(str).astype(object)
            as_frame = kwargs.get("as_frame", "auto")
            if as_frame in (True, "auto"):
                import pandas

                values = pandas.DataFrame(values, columns=[f"pixel{at + 1}" for at in range(values.shape[1])])
                target = pandas.Series(target, name="class").astype("category")
            from sklearn.utils import Bunch

            return (values, target) if kwargs.get("return_X_y") else Bunch(data=values, target=target)

        patches.set(module, "fetch_openml", fetch_openml)
