"""Learning-rate schedules against Keras's and PyTorch's, and what must hold for all of them."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import dataclasses
import random
from collections.abc import Sequence
from itertools import pairwise

import keras
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.spec.metric import RECORDED
from assay.spec.schedule import Schedule
from assay.train import EpochRecord
from assay.train.schedules import learning_rate

BASE, STEPS, EPOCHS = 0.1, 7, 9


def record(epoch: int, **measured: float) -> EpochRecord:
    names = (field.name for field in dataclasses.fields(EpochRecord))
    return EpochRecord(**{**dict.fromkeys(names, 0.5), "epoch": epoch, **measured})


def rates(schedule: Schedule, history: Sequence[EpochRecord] = (), epochs: int = EPOCHS) -> list[float]:
    return [
        learning_rate(schedule, BASE, step=step, steps_per_epoch=STEPS, epochs=epochs, history=history)
        for step in range(STEPS * epochs)
    ]


@pytest.mark.parametrize("warmup_epochs", [0.0, 2.0, 0.5])
def test_cosine_is_keras_s(warmup_epochs: float) -> None:
    warmup = warmup_epochs * STEPS
    theirs = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else BASE,
        STEPS * EPOCHS - warmup,
        alpha=0.05,
        warmup_target=BASE if warmup else None,
        warmup_steps=warmup,
    )
    ours = rates(Schedule(name="cosine", warmup_epochs=warmup_epochs, final=0.05))
    assert ours == pytest.approx([float(theirs(step)) for step in range(STEPS * EPOCHS)], rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("staircase", [False, True])
def test_exponential_and_step_are_keras_s(staircase: bool) -> None:
    theirs = keras.optimizers.schedules.ExponentialDecay(BASE, STEPS * (2 if staircase else 1), 0.7, staircase)
    schedule = Schedule(name="step", every=2, factor=0.7) if staircase else Schedule(name="exponential", factor=0.7)
    assert rates(schedule) == pytest.approx([float(theirs(step)) for step in range(STEPS * EPOCHS)], rel=1e-5)


@pytest.mark.parametrize("shape", ["linear", "cosine"])
@pytest.mark.parametrize("peak_at", [0.3, 0.5, 0.11])
def test_one_cycle_is_pytorch_s(shape: str, peak_at: float) -> None:
    total = STEPS * EPOCHS
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=BASE)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=BASE,
        total_steps=total,
        pct_start=peak_at,
        anneal_strategy="linear" if shape == "linear" else "cos",
        cycle_momentum=False,
        div_factor=25,
        final_div_factor=4,
    )
    theirs = []
    for _ in range(total):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step() if len(theirs) < total else None
    ours = rates(Schedule(name="one-cycle", start=0.04, peak_at=peak_at, final=0.01, shape=shape))
    assert ours == pytest.approx(theirs, rel=1e-9)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on torch, in NumPy 2
@pytest.mark.parametrize("metric", ["validation_loss", "running_accuracy"])
@pytest.mark.parametrize(
    ("factor", "patience", "least", "more"),
    [
        (0.5, 1, 0.0, {}),
        (0.1, 3, 0.0, {}),
        (0.5, 2, 0.2, {}),
        (0.5, 2, 0.0, {"min_delta": 0.05}),
        (0.7, 2, 0.0, {"cooldown": 3}),
        (0.7, 1, 0.3, {"cooldown": 2, "min_delta": 0.0}),
    ],
)
def test_plateau_is_keras_s(metric: str, factor: float, patience: int, least: float, more: dict[str, float]) -> None:
    draw = random.Random(f"{metric} {factor} {patience}")
    values = [round(0.5 + 0.5 * draw.random() / (1 + epoch / 20), 4) for epoch in range(40)]
    values[11] = max(values[:11]) + 0.00005 if "accuracy" in metric else min(values[:11]) - 0.00005  # too little
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(BASE), "mse")
    theirs = keras.callbacks.ReduceLROnPlateau(
        monitor="watched", factor=factor, patience=patience, mode="max" if "accuracy" in metric else "min",
        min_lr=BASE * least, **more,
    )  # fmt: skip
    theirs.set_model(model)
    theirs.on_train_begin()
    history: list[EpochRecord] = []
    floor = {"min": least} if not more else {"min_learning_rate": BASE * least}
    schedule = Schedule(name="plateau", factor=factor, patience=patience, metric=metric, **floor, **more)
    seen = set()
    for epoch, value in enumerate(values):
        at = {"step": epoch * STEPS + 3, "steps_per_epoch": STEPS, "epochs": len(values), "history": history}
        expected = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
        assert learning_rate(schedule, BASE, **at) == pytest.approx(expected, rel=1e-5)
        seen.add(expected)
        theirs.on_epoch_end(epoch, {"watched": value})
        history.append(record(epoch + 1, **{metric: value}))
    assert len(seen) > 2


def test_every_metric_of_a_plateau_is_measured() -> None:
    assert set(RECORDED) == {
        field.name for field in dataclasses.fields(EpochRecord) if field.name.endswith(("loss", "accuracy"))
    }


def test_a_plateau_never_raises_the_rate_to_its_least() -> None:
    schedule = Schedule(name="plateau", patience=1, min_learning_rate=2 * BASE)
    history = [record(epoch) for epoch in range(1, EPOCHS)]
    assert set(rates(schedule, history)) == {BASE}


def test_a_plateau_needs_the_records_of_earlier_epochs() -> None:
    with pytest.raises(ValueError, match="needs 2 records, got 1"):
        learning_rate(
            Schedule(name="plateau"), BASE, step=2 * STEPS, steps_per_epoch=STEPS, epochs=3, history=[record(1)]
        )


fractions = st.floats(0, 1)
schedules = st.one_of(
    st.just(Schedule()),
    st.builds(lambda w, f: Schedule(name="cosine", warmup_epochs=w, final=f), st.floats(0, 30), fractions),
    st.builds(
        lambda s, p, f, h: Schedule(name="one-cycle", start=s, peak_at=p, final=f, shape=h),
        fractions, fractions, fractions, st.sampled_from(["linear", "cosine"]),
    ),
    st.builds(lambda f: Schedule(name="exponential", factor=f), st.floats(0.01, 1)),
    st.builds(lambda e, f: Schedule(name="step", every=e, factor=f), st.integers(1, 5), st.floats(0.01, 1)),
    st.builds(
        lambda f, p, least: Schedule(name="plateau", factor=f, patience=p, min=least),
        st.floats(0.01, 1), st.integers(1, 4), fractions,
    ),
)  # fmt: skip
losses = st.lists(st.floats(0, 5), min_size=20, max_size=20)


@settings(max_examples=150, deadline=None)
@given(schedules, losses, st.integers(1, 20), st.integers(1, 5), st.data())
def test_rates_stay_within_their_bounds_and_depend_on_the_past_alone(
    schedule: Schedule, measured: list[float], epochs: int, steps: int, data: st.DataObject
) -> None:
    history = [record(epoch, validation_loss=loss) for epoch, loss in enumerate(measured[:epochs], start=1)]
    step = data.draw(st.integers(0, epochs * steps - 1))
    at = {"step": step, "steps_per_epoch": steps, "epochs": epochs}
    rate = learning_rate(schedule, BASE, **at, history=history)
    assert 0 <= rate <= BASE * (1 + 1e-12)
    assert rate == learning_rate(schedule, BASE, **at, history=history[: step // steps])
    assert 2 * rate == pytest.approx(learning_rate(schedule, 2 * BASE, **at, history=history))
    has_warmup = schedule.warmup_epochs or schedule.name == "one-cycle"
    if not has_warmup and step:
        before = learning_rate(schedule, BASE, **{**at, "step": step - 1}, history=history)
        assert rate <= before * (1 + 1e-12)
    if schedule.name == "plateau":
        assert rate >= BASE * (schedule.min or 0)


@given(fractions, fractions, fractions, st.sampled_from(["linear", "cosine"]))
def test_one_cycle_rises_to_its_peak_and_falls(start: float, peak_at: float, final: float, shape: str) -> None:
    ours = rates(Schedule(name="one-cycle", start=start, peak_at=peak_at, final=final, shape=shape))
    top = ours.index(max(ours))
    slack = BASE * 1e-12
    assert all(b >= a - slack for a, b in pairwise(ours[: top + 1]))
    assert all(b <= a + slack for a, b in pairwise(ours[top:]))
    if peak_at < 0.9:
        assert ours[-1] == pytest.approx(BASE * final, abs=slack)


def test_a_run_of_one_step_takes_it_at_the_full_rate() -> None:
    for schedule in (Schedule(name="cosine"), Schedule(name="one-cycle")):
        assert learning_rate(schedule, BASE, step=0, steps_per_epoch=1, epochs=1, history=[]) == BASE
