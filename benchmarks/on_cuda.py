"""Seconds a run of probe A on a CUDA device: alone, step by step and from a graph, and many seeds as one program.

    python benchmarks/on_cuda.py                                              # needs a CUDA device; writes to results/
    python benchmarks/on_cuda.py --device cpu --images 1000 --runs 2 --epochs 1 --out -   # does the script work?

A sample is one epoch of steps, without evaluation, in seconds for 60,000 images and one run: of several stacked runs,
the time of all divided by their number. An epoch of each kind comes first and is dropped. Rounds take turns, so that
drift of the machine meets all kinds alike.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import machine
from ours import study_of
from probes import EPOCH, PROBES
from stacked import stacked_of

from assay.data import TrainingData, prepare
from assay.nets import parse
from assay.nets.build import build
from assay.runner import make_plan
from assay.train.cuda import replay
from assay.train.cuda.learner import CudaLearner
from assay.train.device import why_no_cuda
from assay.train.engine import batch_of, split_of
from assay.train.scaling import scaling_of
from assay.train.task import Task

Epoch = Callable[[int], float]  # the epoch's number -> the mean of the runs' losses


def orders_of(tasks: list[Task], data: TrainingData, epoch: int, images: int) -> list[np.ndarray]:
    """Each run's images in the order of an epoch."""
    splits = [split_of(task, data).training for task in tasks]
    return [
        training[task.streams.generator("order", epoch).permutation(len(training))][:images]
        for task, training in zip(tasks, splits, strict=True)
    ]


def alone(task: Task, data: TrainingData, images: int, device: str, precision: str, *, is_eager: bool) -> Epoch:
    size = task.arm.training.batch_size
    learner = cuda_learner(task, data, device, precision)

    def epoch(number: int) -> float:
        replay.WARM_UP = sys.maxsize if is_eager else 3
        (order,) = orders_of([task], data, number, images)
        loss: Any = 0.0
        for index, start in enumerate(range(0, len(order), size)):
            step = number * -(-len(order) // size) + index
            batch = batch_of(task, data, order[start : start + size], step)
            loss = loss + learner.train_batch(batch, step=step, learning_rate=0.001)[0]
        return float(loss) / len(order)  # waits for the device

    return epoch


def cuda_learner(task: Task, data: TrainingData, device: str, precision: str) -> CudaLearner:
    height, width, channels = data.images.shape[1:]
    return CudaLearner(
        build(parse(task.arm.layers), (height, width, channels), task.num_classes, task.streams),
        task.arm.training.optimizer,
        scaling_of(data.images, task.data.scaling, split_of(task, data).training),
        batch_size=task.arm.training.batch_size,
        precision=precision,
        device=device,
    )


def stacked(tasks: list[Task], data: TrainingData, images: int, device: str, precision: str) -> Epoch:
    size = tasks[0].arm.training.batch_size
    learner = stacked_of(tasks, data, precision=precision, device=device)

    def epoch(number: int) -> float:
        replay.WARM_UP = 3
        orders = orders_of(tasks, data, number, images)
        loss: Any = 0.0
        for index, start in enumerate(range(0, len(orders[0]), size)):
            step = number * -(-len(orders[0]) // size) + index
            batches = [
                batch_of(task, data, order[start : start + size], step)
                for task, order in zip(tasks, orders, strict=True)
            ]
            loss = loss + learner.train_batches(batches, step=step, learning_rate=0.001)[:, 0]
        return float(loss.mean()) / len(orders[0])

    return epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--runs", type=int, default=16, help="seeds that are stacked")
    parser.add_argument("--epochs", type=int, default=5, help="samples of each kind")
    parser.add_argument("--images", type=int, default=EPOCH, help="of an epoch")
    parser.add_argument("--precision", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--out", help="a file, or - for none; results/cuda-DATE.json unless given")
    options = parser.parse_args()
    if options.device == "cuda" and (reason := why_no_cuda()):
        parser.exit(2, f"Nothing was measured: {reason}.\n")

    probe = PROBES["A"]
    study = study_of(probe, seeds=options.runs, epochs=options.epochs + 1, images=EPOCH)
    dataset = prepare(study.data)
    with tempfile.TemporaryDirectory() as store:
        tasks = list(make_plan(study, dataset, Path(store)).tasks)
    data = dataset.training()
    where = (options.images, options.device, options.precision)
    kinds = {
        "alone, step by step": (1, alone(tasks[0], data, *where, is_eager=True)),
        "alone, from a graph": (1, alone(tasks[0], data, *where, is_eager=False)),
        f"{options.runs} stacked": (options.runs, stacked(tasks, data, *where)),
    }
    samples: dict[str, list[float]] = {kind: [] for kind in kinds}
    losses: dict[str, float] = {}
    for epoch in range(options.epochs + 1):
        for kind, (num_runs, train) in kinds.items():
            started = time.perf_counter()
            losses[kind] = train(epoch)
            seconds = time.perf_counter() - started
            images = min(options.images, EPOCH - int(study.data.validation))
            if epoch:
                samples[kind].append(seconds * EPOCH / images / num_runs)
    result = {
        "unit": "seconds a run for 60,000 images, evaluation left out",
        "probe": probe.name,
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
        "peak_device_bytes": torch.cuda.max_memory_allocated() if options.device == "cuda" else None,
        "precision": options.precision,
        "machine": machine(),
        "versions": {"assay": version("assay"), "torch": torch.__version__, "cuda": torch.version.cuda},
        "samples": samples,
        "medians": {kind: float(np.median(values)) for kind, values in samples.items()},
        "last_losses": losses,
    }
    text = json.dumps(result, indent=2)
    print(text)
    if options.out != "-":
        default = Path(__file__).parent / "results" / f"cuda-{date.today()}.json"
        (Path(options.out) if options.out else default).write_text(text + "\n")


if __name__ == "__main__":
    main()
