"""Keras ``compile`` and ``fit`` at their defaults on one of the three backends: what a notebook does.

The progress bar is off, which is all that is done for speed. The backend is the variant.
"""

from __future__ import annotations

import os
from importlib.metadata import version

from .common import Clock, arguments, load


def main() -> None:
    chosen = arguments("tensorflow", "jax", "torch")
    os.environ["KERAS_BACKEND"] = chosen.variant

    from .keras_models import Timed, model_of, optimizer_of

    images, classes = load(chosen.data, chosen.probe, chosen.images)
    model = model_of(chosen.probe)
    model.compile(optimizer_of(chosen.probe), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    backend = {"tensorflow": "tensorflow-cpu"}.get(chosen.variant, chosen.variant)
    clock = Clock(chosen, len(images), {"versions": {name: version(name) for name in ("keras", backend)}})
    model.fit(images, classes, batch_size=chosen.probe.batch_size, epochs=10**6, verbose=0, callbacks=[Timed(clock)])


if __name__ == "__main__":
    main()
