"""A study too large for one machine, without the machines: what the driver and the store do with it.

100,000 runs (100 arms, 1,000 seeds) go through the real driver into a real store; a fake executor stands for 1,000
workers and answers at once, with the images that each run gets right. Looks at the verdicts, as someone takes who
watches the study run, are recorded at a tenth and half of the seeds. Measured: the driver's time for each run and
epoch, its memory, the size of the store, and the processor time of `assay status` and `assay compare` on it, the best
of several, each in a process of its own.

    python benchmarks/scale.py [--arms 100] [--seeds 1000] [--workers 1000] [--epochs 5] [--json FILE]
    python benchmarks/scale.py --ask --store FOLDER    only the two commands, on a store that was kept before
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import functools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine
from numpy.typing import NDArray

from assay.analysis import look_record
from assay.data import Dataset, prepare
from assay.runner import Executor, drive, make_plan
from assay.runner.events import EpochDone, Event, Finished, Started
from assay.runner.progress import Silent
from assay.spec import Study
from assay.store import DATABASE, ImageHits, open_reader, open_writer, record_verdict_look
from assay.train import EpochRecord, Task
from assay.train.device import environment

HEALTH = {"images": 512, "dead": {"conv1": 0.0}, "saturated": {"dense1": 0.01}, "predicted": [50] * 10}


NUM_ASKED = 7


class Networks:
    """Made-up results: each image is as hard for every network, and each run's draw on it is its own."""

    def __init__(self, dataset: Dataset) -> None:
        self.random = np.random.default_rng(1)
        self.num_images = dataset.info.num_training
        self.difficulty = self.random.beta(0.3, 3.0, self.num_images)

    @functools.cache  # noqa: B019
    def images(self, seed: int) -> NDArray[np.int64]:
        """The validation images of a seed: a fifth, drawn anew for each."""
        chosen = np.random.default_rng(seed).choice(self.num_images, self.num_images // 5, replace=False)
        return np.sort(chosen)

    def hits(self, seed: int) -> ImageHits:
        images = self.images(seed)
        return ImageHits.of("training", images, self.random.random(len(images)) > self.difficulty[images])


class Fake(Executor):
    """Workers that take turns: each call of ``poll`` is one epoch of every run in flight."""

    def __init__(self, num_workers: int, networks: Networks) -> None:
        self.num_workers = num_workers
        self.networks = networks
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
            is_last = epoch + 1 == task.arm.training.epochs
            hits = self.networks.hits(task.seed)
            accuracy = hits.accuracy
            health = HEALTH if is_last else None
            record = EpochRecord(epoch + 1, 0.3, accuracy, 0.3, accuracy, 0.4, 0.9, 0.001, 1.0, health)
            events.append(EpochDone(run, record))
            self.running[run] = (task, epoch + 1)
            if is_last:
                seconds = float(epoch + 1)
                events.append(
                    Finished(run, seconds, 400 << 20, "weights.safetensors", "0" * 64, 10_000, epoch + 1, hits)
                )  # fmt: skip
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
    dataset = prepare(study.data)
    started = time.perf_counter()
    plan = make_plan(study, dataset, store)
    planned = time.perf_counter() - started
    fake = Fake(num_workers, Networks(dataset))
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


def record_looks(store: Path) -> None:
    """Write down looks at the verdicts at a tenth and half of the seeds, as if each had been taken then."""
    with open_reader(store) as reader:
        record = reader.study("scale")
    most = 1 + max(run.seed for run in record.runs)
    for share in (0.1, 0.5):
        seen = tuple(
            run if run.seed < share * most else dataclasses.replace(run, state="queued", epochs=())
            for run in record.runs
        )
        then = dataclasses.replace(record, runs=seen)
        if look := look_record(then):
            record_verdict_look(store, record.name, look)
            record = dataclasses.replace(record, verdict_looks=(*record.verdict_looks, look))


def ask(store: Path, *command: str) -> dict[str, float]:
    """Seconds of processor time of a command, and of the same on nothing: what starting it takes. The best of each."""
    program = [sys.executable, "-m", "assay", *command]
    commands = {"start": [*program, "--help"], "whole": [*program, "scale", "--store", str(store)]}
    times = {
        name: [_processor_seconds(arguments) for _ in range(NUM_ASKED)] for name, arguments in commands.items()
    }  # the first of the whole records the look that it takes
    return {name: min(seconds) for name, seconds in times.items()}


def _processor_seconds(arguments: Sequence[str]) -> float:
    """User and system time of one process, from its start to its end."""
    with open(os.devnull, "w") as nothing:
        process = subprocess.Popen(arguments, stdout=nothing)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    for name, default in (("arms", 100), ("seeds", 1000), ("workers", 1000), ("epochs", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--store", type=Path, help="Keep the store here.")
    parser.add_argument("--ask", action="store_true", help="Only ask a store that was kept.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        store = options.store or Path(temporary) / "store"
        figures = {"machine": machine(), "workers": options.workers}
        if not options.ask:
            figures |= measure(study_of(options.arms, options.seeds, options.epochs), store, options.workers)
            record_looks(store)
        figures |= {command: ask(store, command) for command in ("status", "compare")}
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
