"""What can be told of the CUDA path without a device: on torch's meta device, and with a device that is made up."""

from __future__ import annotations

import argparse
import contextlib
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from assay.data import TrainingData, prepare
from assay.nets.dropout import dropout
from assay.nets.masks import halves
from assay.seeds import Streams
from assay.train.cuda import replay
from assay.train.cuda.replay import Replay, pinned
from assay.train.engine import batch_of, split_of

from .test_cuda import PROTOCOLS, SIZE, benchmark, learner_of, task_of

UNPENALISED = ["conv 3 3x3 relu", "batchnorm", "dropout 0.2", "flatten", "dense classes softmax"]
PENALISED = ["flatten", "dense 9 relu l2=0.1", "dense classes softmax"]


@pytest.fixture
def data() -> TrainingData:
    return prepare("digits").training()


@pytest.mark.parametrize("layers", [UNPENALISED, PENALISED])
@pytest.mark.parametrize("protocol", ["adam", "mixup", "clip_norm"])
def test_a_step_computes_on_its_device_alone(data: TrainingData, layers: list[str], protocol: str) -> None:
    """Tensors of two devices do not mix on the meta device either, which computes shapes and no values."""
    tasks = [task_of(PROTOCOLS[protocol], seed=seed, layers=layers) for seed in range(2)]
    orders = [split_of(task, data).training for task in tasks]
    for size in (SIZE, 7):
        batches = [batch_of(task, data, order[:size], 0) for task, order in zip(tasks, orders, strict=True)]
        stacked = benchmark("stacked").stacked_of(tasks, data, precision="float32", device="meta")
        told = stacked.train_batches(batches, step=0, learning_rate=0.1)
        assert (told.device.type, told.shape) == ("meta", (2, 2))
        alone = learner_of(tasks[0], data, "cuda", device="meta")
        loss, hits = alone.train_batch(batches[0], step=0, learning_rate=0.1)
        assert {loss.device.type, hits.device.type} == {"meta"}  # type: ignore[union-attr]


def test_a_finished_learner_is_gone_at_once(data: TrainingData) -> None:
    """With it goes the memory of its graph, also while Python does not look for cycles."""
    task = task_of({})
    indices = split_of(task, data).training
    ours = learner_of(task, data, "cuda")
    stacked = benchmark("stacked").stacked_of([task], data, precision="float32", device="cpu")
    ours.train_batch(batch_of(task, data, indices[:SIZE], 0), step=0, learning_rate=0.1)
    stacked.train_batches([batch_of(task, data, indices[:SIZE], 0)], step=0, learning_rate=0.1)
    references = [weakref.ref(ours), weakref.ref(stacked)]
    gc.disable()
    try:
        del ours, stacked
        assert [reference() for reference in references] == [None, None]
    finally:
        gc.enable()


class _Stream:
    def __init__(self, device: torch.device | None = None) -> None: ...
    def wait_stream(self, other: object) -> None: ...


def test_memory_that_runs_out_during_capture_is_what_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ending the capture fails then too, with an error that would take the process along."""

    @contextlib.contextmanager
    def capture(graph: object) -> Iterator[None]:
        try:
            yield
        finally:
            raise torch.AcceleratorError("operation failed due to a previous error during capture")

    def step() -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(replay, "WARM_UP", 0)
    for name, fake in {"CUDAGraph": object, "Stream": _Stream, "graph": capture}.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    with pytest.raises(torch.OutOfMemoryError, match="out of memory") as caught:
        Replay(step, torch.device("cuda"))()
    assert not isinstance(caught.value, torch.AcceleratorError)  # which the worker would not survive
    with pytest.raises(torch.AcceleratorError, match="previous error"):
        Replay(lambda: torch.zeros(1), torch.device("cuda"))()


def test_what_is_sent_to_a_cuda_device_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[torch.Tensor] = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda values: told.append(values) or values)
    values = torch.zeros(3)
    assert pinned(values, torch.device("cpu")) is values
    assert not told
    pinned(values, torch.device("cuda"))
    assert told == [values]


def test_gradients_under_autocast_are_rounded_where_products_give_them(data: TrainingData) -> None:
    """What docs/explanation/engine.md says: kernels' and biases' gradients are bfloat16 values, kept in float32."""
    task = task_of({}, layers=["conv 4 3x3 relu", "flatten", "dense 12 relu", "dense classes softmax"])
    batch = batch_of(task, data, split_of(task, data).training[:SIZE], 0)
    for precision, is_rounded in (("bfloat16", True), ("float32", False)):
        ours: Any = learner_of(task, data, "cuda", precision=precision)
        ours.train_batch(batch, step=0, learning_rate=0.0)
        gradients = ours.split(ours.parameters.gradients)
        assert {value.dtype for value in gradients.values()} == {torch.float32}
        rounded = {name: torch.equal(value, value.bfloat16().float()) for name, value in gradients.items()}
        assert set(rounded.values()) == {is_rounded}


def test_masks_are_computed_in_32_bits() -> None:
    wide: list[str] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor) and result.numel() > 2 and result.dtype == torch.int64:
                wide.append(str(func))
            return result

    key = torch.tensor(halves(Streams(7).key("dropout", 1, 12)))
    with Watch():
        dropout(torch.ones(50, 40), key, 0.3)
    assert not wide


def test_a_benchmark_that_fails_in_one_kind_keeps_the_others(
    data: TrainingData, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(benchmark("stacked").__file__).rsplit("/", 1)[0])
    on_cuda = benchmark("on_cuda")
    task = task_of({})
    options = argparse.Namespace(epochs=2, images=2 * SIZE + 5)
    splits = [split_of(task, data).training]
    sizes: list[int] = []

    def steps(epoch: int, orders: list[np.ndarray]) -> float:
        if epoch == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(orders[0]))
        return 0.5

    result = on_cuda.measured("some kind", [task], lambda: steps, options, splits)
    assert len(result["samples"]) == 1
    assert "out of memory" in result["error"]
    assert sizes == [2 * SIZE] * 2  # whole batches
    assert "some kind, epoch 1: " in capsys.readouterr().out
