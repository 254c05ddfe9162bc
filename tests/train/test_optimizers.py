"""Our optimizers against Keras's, step by step on the same gradients."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import pytest
import torch

from assay import spec
from assay.train.optimizers import optimizer_for

CASES = {
    "sgd": ({"name": "sgd"}, lambda: keras.optimizers.SGD(0.01)),
    "sgd momentum": ({"name": "sgd", "momentum": 0.9}, lambda: keras.optimizers.SGD(0.01, momentum=0.9)),
    "nesterov": (
        {"name": "sgd", "momentum": 0.9, "nesterov": True},
        lambda: keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    ),
    "adam": ({"name": "adam"}, lambda: keras.optimizers.Adam()),
    "adam large epsilon": ({"name": "adam", "epsilon": 0.1}, lambda: keras.optimizers.Adam(epsilon=0.1)),
    "adamw": ({"name": "adamw", "weight_decay": 0.1}, lambda: keras.optimizers.AdamW(weight_decay=0.1)),
    "rmsprop": ({"name": "rmsprop"}, lambda: keras.optimizers.RMSprop()),
    "rmsprop momentum centered": (
        {"name": "rmsprop", "momentum": 0.9, "centered": True, "epsilon": 1e-3},
        lambda: keras.optimizers.RMSprop(momentum=0.9, centered=True, epsilon=1e-3),
    ),
    "adadelta": ({"name": "adadelta", "learning_rate": 1.0}, lambda: keras.optimizers.Adadelta(1.0)),
}


@pytest.mark.parametrize("case", CASES)
def test_twenty_steps_equal_keras(case: str) -> None:
    settings, make = CASES[case]
    rng = np.random.default_rng(1)
    start = rng.normal(size=500).astype(np.float32)
    gradients = rng.normal(size=(20, 500)).astype(np.float32) * rng.lognormal(size=500).astype(np.float32)

    theirs = keras.Variable(start)
    optimizer = make()
    optimizer.build([theirs])
    values = torch.from_numpy(start.copy())
    chosen = spec.Optimizer.of(settings)
    ours = optimizer_for(chosen, values)
    for step, gradient in enumerate(gradients, start=1):
        optimizer.apply([torch.from_numpy(gradient)], [theirs])
        ours.step(torch.from_numpy(gradient), chosen.learning_rate or 0.0, step)

    expected = theirs.value.detach().numpy()
    assert not np.allclose(values, start)
    np.testing.assert_allclose(values.numpy(), expected, rtol=1e-4, atol=1e-6)
