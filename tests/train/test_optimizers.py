"""Our optimizers against Keras's, step by step on the same gradients; the fused ones against ours."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import pytest
import torch

from assay import spec
from assay.train.fused.optimizers import fused_optimizer_for
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
    "rmsprop momentum": (
        {"name": "rmsprop", "momentum": 0.9},
        lambda: keras.optimizers.RMSprop(momentum=0.9),
    ),
    "rmsprop centered": (
        {"name": "rmsprop", "centered": True, "epsilon": 1e-3},
        lambda: keras.optimizers.RMSprop(centered=True, epsilon=1e-3),
    ),
    "rmsprop momentum centered": (
        {"name": "rmsprop", "momentum": 0.9, "centered": True, "epsilon": 1e-3},
        lambda: keras.optimizers.RMSprop(momentum=0.9, centered=True, epsilon=1e-3),
    ),
    "adadelta": ({"name": "adadelta", "learning_rate": 1.0}, lambda: keras.optimizers.Adadelta(1.0)),
}
SLOTS = {
    "sgd": set(),
    "sgd momentum": {"momentum"},
    "nesterov": {"momentum"},
    "rmsprop": {"square"},
    "rmsprop momentum": {"square", "momentum"},
    "rmsprop centered": {"square", "mean"},
    "rmsprop momentum centered": {"square", "momentum", "mean"},
    "adadelta": {"square", "square_change"},
}
FACTORIES = {"torch": optimizer_for, "fused": fused_optimizer_for}


def problem(size: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Initial values, and the gradients of twenty steps, over several orders of magnitude."""
    rng = np.random.default_rng(1)
    start = rng.normal(size=size).astype(np.float32)
    return start, rng.normal(size=(20, size)).astype(np.float32) * rng.lognormal(size=size).astype(np.float32)


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("case", CASES)
def test_twenty_steps_equal_keras(case: str, factory: str) -> None:
    settings, make = CASES[case]
    start, gradients = problem()
    theirs = keras.Variable(start)
    optimizer = make()
    optimizer.build([theirs])
    values = torch.from_numpy(start.copy())
    chosen = spec.Optimizer.of(settings)
    ours = FACTORIES[factory](chosen, values)
    for step, gradient in enumerate(gradients, start=1):
        optimizer.apply([torch.from_numpy(gradient)], [theirs])
        ours.step(torch.from_numpy(gradient), chosen.learning_rate or 0.0, step)

    expected = theirs.value.detach().numpy()
    assert not np.allclose(values, start)
    np.testing.assert_allclose(values.numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_a_fused_step_equals_the_reference(case: str) -> None:
    chosen = spec.Optimizer.of(CASES[case][0])
    start, gradients = problem(1003)  # no multiple of any vector's width
    one, other = torch.from_numpy(start.copy()), torch.from_numpy(start.copy())
    reference, fused = optimizer_for(chosen, one), fused_optimizer_for(chosen, other)
    for step, gradient in enumerate(torch.from_numpy(gradients), start=1):
        other.copy_(one)  # every step starts from the same place, so that nothing adds up but one step's rounding
        for name, slot in fused.state.items():
            slot.copy_(reference.state[name])
        reference.step(gradient, 1e-3, step)
        fused.step(gradient, 1e-3, step)
        for name, slot in fused.state.items():
            # Next to sums that cancel, a rounding error is relative to the terms.
            torch.testing.assert_close(slot, reference.state[name], rtol=1e-6, atol=1e-7 * float(slot.abs().max()))
        torch.testing.assert_close(other, one, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("first", "second"), [("torch", "fused"), ("fused", "torch")])
@pytest.mark.parametrize("case", CASES)
def test_a_checkpoint_of_one_goes_on_in_the_other(case: str, first: str, second: str) -> None:
    chosen = spec.Optimizer.of(CASES[case][0])
    start, gradients = problem()
    steps = list(enumerate(torch.from_numpy(gradients), start=1))
    whole = torch.from_numpy(start.copy())
    optimizer = optimizer_for(chosen, whole)
    for step, gradient in steps:
        optimizer.step(gradient, 1e-3, step)

    values = torch.from_numpy(start.copy())
    before = FACTORIES[first](chosen, values)
    for step, gradient in steps[:10]:
        before.step(gradient, 1e-3, step)
    after = FACTORIES[second](chosen, values)
    assert after.state.keys() == before.state.keys()
    for name, slot in after.state.items():
        slot.copy_(before.state[name])
    for step, gradient in steps[10:]:
        after.step(gradient, 1e-3, step)
    torch.testing.assert_close(values, whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("case", CASES)
def test_only_the_vectors_that_are_needed_are_kept(case: str, factory: str) -> None:
    optimizer = FACTORIES[factory](spec.Optimizer.of(CASES[case][0]), torch.zeros(3))
    assert set(optimizer.state) == SLOTS.get(case, {"mean", "square"})


@pytest.mark.parametrize("values", [torch.zeros(4, dtype=torch.float64), torch.zeros(2, 2), torch.zeros(8)[::2]])
def test_what_the_kernels_cannot_update_is_refused(values: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="contiguous float32 vector"):
        fused_optimizer_for(spec.Optimizer(), values)
