"""A study too large for one machine, without the machines: what the driver and the store do with it.

100,000 runs (100 arms, 1,000 seeds) go through the real driver into a real store; a fake executor stands for 1,000
workers and answers at once. Measured: the driver's time for each run and epoch, its memory, the size of the store, and
how long `assay status` and `assay compare` take on it, each in a process of its own.

    python benchmarks/scale.py [--arms 100] [--seeds 1000] [--workers 1000] [--epochs 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from machine import machine

from assay.data import prepare
from assay.runner import Executor, drive, make_plan
from assay.runner.events import EpochDone, Event, Finished, Started
from assay.runner.progress import Silent
from assay.spec import Study
from assay.store import DATABASE, open_reader, open_writer
from assay.train import EpochRecord, Task
from assay.train.device import environment

HEALTH = {"images": 512, "dead": {"conv1": 0.0}, "saturated": {"dense1": 0.01}, "predicted": [50] * 10}


class Fake(Executor):
    """Workers that take turns: each call of ``poll`` is one epoch of every run in flight."""

    def __init__(self, num_workers: int) -> None:
        self.num_workers = num_workers
        self.chance = random.Random(1)
        self.queue: collections.deque[Task] = collections.deque()
        self.running: dict[str, tuple[Task, int]] = {}
        self.about = environment(threads=1, path="fused", precision="bfloat16")
        self.seconds = 0.0  # spent in here, which is not the driver's

    def submit(self, task: Task) -> None:
        self.queue.append(task)

    def poll(self, timeout_seconds: float) -> Sequence[Event]:
        started = time.perf_counter()
        events: list[Event] = []
        while self.queue and len(self.running) < self.num_workers:
            task = self.queue.popleft()
            self.running[task.id] = (task, 0)
            events.append(Started(task.id, self.about))
        for run, (task, epoch) in list(self.running.items()):
            epochs = task.arm.training.epochs
            health = HEALTH if epoch + 1 == epochs else None
            accuracy = 0.9 + 0.01 * self.chance.random()
            record = EpochRecord(epoch + 1, 0.3, accuracy, 0.3, accuracy, 0.4, 0.9, 0.001, 1.0, health)
            events.append(EpochDone(run, record))
            self.running[run] = (task, epoch + 1)
            if epoch + 1 == epochs:
                events.append(Finished(run, float(epochs), 400 << 20, "weights.safetensors", "0" * 64, 10_000))
                del self.running[run]
        self.seconds += time.perf_counter() - started
        return events

    def close(self) -> None:
        pass


def study_of(num_arms: int, num_seeds: int, epochs: int) -> Study:
    layers = ["conv 4 3x3 relu", "maxpool 2", "flatten", "dense {units} relu", "dense classes softmax"]
    return Study.of(
        {
            "name": "scale",
            "question": "Does it hold?",
            "data": {"name": "digits", "validation": 0.2},
            "network": {"layers": layers},
            "factors": {"units": list(range(8, 8 + num_arms))},
            "training": {"epochs": epochs},
            "seeds": {"count": num_seeds},
        }
    )


def measure(study: Study, store: Path, num_workers: int) -> dict[str, Any]:
    started = time.perf_counter()
    plan = make_plan(study, prepare(study.data), store)
    planned = time.perf_counter() - started
    fake = Fake(num_workers)
    started = time.perf_counter()
    with open_writer(store) as writer, open_reader(store) as reader:
        drive(plan, writer, reader, lambda count, threads: fake, Silent(), num_workers=num_workers)
    driven = time.perf_counter() - started - fake.seconds
    num_runs = len(plan.tasks)
    num_epochs = sum(task.arm.training.epochs for task in plan.tasks)
    return {
        "runs": num_runs,
        "epochs": num_epochs,
        "plan_seconds": planned,
        "drive_seconds": driven,
        "drive_ms_a_run": 1000 * driven / num_runs,
        "epoch_rows_a_second": num_epochs / driven,
        "driver_peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "store_bytes": (store / DATABASE).stat().st_size,
    }


def ask(store: Path, *command: str) -> dict[str, float]:
    """Seconds of a command, and of the same command on nothing: what starting it takes."""
    told = [sys.executable, "-m", "assay", *command]
    times = []
    for arguments in ([*told, "--help"], [*told, "scale", "--store", str(store)]):
        started = time.perf_counter()
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return {"start": times[0], "whole": times[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    for name, default in (("arms", 100), ("seeds", 1000), ("workers", 1000), ("epochs", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--store", type=Path, help="Keep the store here.")
    parser.add_argument("--json", type=Path)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        store = told.store or Path(temporary) / "store"
        found = {"machine": machine(), "workers": told.workers}
        found |= measure(study_of(told.arms, told.seeds, told.epochs), store, told.workers)
        found |= {command: ask(store, command) for command in ("status", "compare")}
    print(json.dumps(found, indent=2))
    if told.json:
        told.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
