"""Seconds a run of probe A on a CUDA device: alone, step by step and from a graph, and many seeds as one program.

    python benchmarks/on_cuda.py                                              # needs a CUDA device; writes to results/
    python benchmarks/on_cuda.py --device cpu --images 1000 --runs 2 --epochs 1 --out -   # does the script work?

A sample is one epoch of steps, whole batches alone and without evaluation, in seconds for 60,000 images and one run: of
several stacked runs, the time of all divided by their number. An epoch of each kind comes first and is dropped. Figures
are printed as they come, and written after each kind; a kind that fails is named and takes no other along.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import traceback
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
from stacked import StackedLearner, stacked_of

from assay.data import TrainingData, prepare
from assay.nets import parse
from assay.nets.build import build
from assay.runner import make_plan
from assay.spec.training import Precision
from assay.train.cuda.learner import CudaLearner
from assay.train.device import why_no_cuda
from assay.train.engine import batch_of, split_of
from assay.train.scaling import scaling_of
from assay.train.task import Task

Steps = Callable[[int, list[np.ndarray]], float]  # an epoch's number and each run's order -> the mean of their losses


def orders_of(tasks: list[Task], splits: list[np.ndarray], epoch: int, images: int) -> list[np.ndarray]:
    """Each run's images in the order of an epoch: whole batches, since a short one is computed call by call."""
    size = tasks[0].arm.training.batch_size
    kept = max(min(images, *map(len, splits)) // size, 1) * size
    return [
        training[task.streams.generator("order", epoch).permutation(len(training))][:kept]
        for task, training in zip(tasks, splits, strict=True)
    ]


def alone(task: Task, data: TrainingData, learner: CudaLearner) -> Steps:
    size = task.arm.training.batch_size

    def epoch(number: int, orders: list[np.ndarray]) -> float:
        (order,) = orders
        loss: Any = 0.0
        for index, start in enumerate(range(0, len(order), size)):
            step = number * (len(order) // size) + index
            batch = batch_of(task, data, order[start : start + size], step)
            loss = loss + learner.train_batch(batch, step=step, learning_rate=0.001)[0]
        return float(loss) / len(order)  # waits for the device

    return epoch


def cuda_learner(
    task: Task, data: TrainingData, learned: np.ndarray, device: str, precision: Precision, *, replays: bool
) -> CudaLearner:
    height, width, channels = data.images.shape[1:]
    return CudaLearner(
        build(parse(task.arm.layers), (height, width, channels), task.num_classes, task.streams),
        task.arm.training.optimizer,
        scaling_of(data.images, task.data.scaling, learned),
        batch_size=task.arm.training.batch_size,
        precision=precision,
        device=device,
        replays=replays,
    )


def stacked(tasks: list[Task], data: TrainingData, learner: StackedLearner) -> Steps:
    size = tasks[0].arm.training.batch_size

    def epoch(number: int, orders: list[np.ndarray]) -> float:
        loss: Any = 0.0
        for index, start in enumerate(range(0, len(orders[0]), size)):
            step = number * (len(orders[0]) // size) + index
            batches = [
                batch_of(task, data, order[start : start + size], step)
                for task, order in zip(tasks, orders, strict=True)
            ]
            loss = loss + learner.train_batches(batches, step=step, learning_rate=0.001)[:, 0]
        return float(loss.mean()) / len(orders[0])

    return epoch


def measured(kind: str, tasks: list[Task], make: Callable[[], Steps], options: argparse.Namespace, splits: Any) -> dict:
    """Samples of one kind, printed as they come; what went wrong where it cannot be measured."""
    result: dict[str, Any] = {"samples": []}
    try:
        train = make()
        for epoch in range(options.epochs + 1):
            orders = orders_of(tasks, splits[: len(tasks)], epoch, options.images)
            started = time.perf_counter()
            result["last_loss"] = train(epoch, orders)
            seconds = (time.perf_counter() - started) * EPOCH / len(orders[0]) / len(tasks)
            if epoch:
                result["samples"].append(seconds)
            print(f"{kind}, epoch {epoch}{'' if epoch else ' (dropped)'}: {seconds:.4g} s a run", flush=True)
        result["median"] = float(np.median(result["samples"]))
    except RuntimeError as error:  # the device's memory, or an error of its own: the other kinds are still wanted
        traceback.print_exc()
        result["error"] = f"{type(error).__name__}: {error}"
    return result


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
    splits = [split_of(task, data).training for task in tasks]
    where = (options.device, options.precision)

    def one(*, replays: bool) -> Steps:
        return alone(tasks[0], data, cuda_learner(tasks[0], data, splits[0], *where, replays=replays))

    kinds: dict[str, tuple[int, Callable[[], Steps]]] = {
        "alone, step by step": (1, lambda: one(replays=False)),
        "alone, from a graph": (1, lambda: one(replays=True)),
        f"{options.runs} stacked": (
            options.runs,
            lambda: stacked(tasks, data, stacked_of(tasks, data, precision=options.precision, device=options.device)),
        ),
    }
    result: dict[str, Any] = {
        "unit": "seconds a run for 60,000 images, evaluation left out",
        "probe": probe.name,
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
        "precision": options.precision,
        "machine": machine(),
        "versions": {"assay": version("assay"), "torch": torch.__version__, "cuda": torch.version.cuda},
        "kinds": {},
    }
    default = Path(__file__).parent / "results" / f"cuda-{date.today()}.json"
    for kind, (num_runs, make) in kinds.items():
        if options.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        result["kinds"][kind] = measured(kind, tasks[:num_runs], make, options, splits)
        if options.device == "cuda":
            result["kinds"][kind]["peak_device_bytes"] = torch.cuda.max_memory_allocated()
        if options.out != "-":  # after each kind, so that what comes later can lose nothing
            (Path(options.out) if options.out else default).write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    if any("error" in one for one in result["kinds"].values()):
        parser.exit(1, "Some kinds could not be measured.\n")


if __name__ == "__main__":
    main()
