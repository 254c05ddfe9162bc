"""What a Ray cluster adds to training: 2,000 runs of a tiny network through 2, 4 and 8 workers, and through one.

A cluster of two nodes is started on this machine for it, and closed again; `--address` takes one that is there. Each
study goes through the real driver into a real store. Overhead is what a run takes beyond training: wall seconds times
workers, less the seconds that the engine counted, over the runs (with more workers than cores they wait for each other,
which is no overhead of Ray's: read it at one worker).

    python benchmarks/on_ray.py [--runs 2000] [--workers 1 2 4 8] [--epochs 2] [--address ray] [--local] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from machine import cores, machine

import assay
from assay.runner.events import EpochDone, Event, Finished, Started
from assay.runner.progress import Silent
from assay.spec import Study

STORE_BYTES = 200 << 20


class Watch(Silent):
    """When things happened, and how much memory the driver had then."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.last = 0.0
        self.memory: list[int] = []
        self.num_finished = 0
        self.training = 0.0
        self.epoch_times: list[float] = []

    def follow(self, event: Event) -> None:
        now = time.perf_counter()
        if isinstance(event, Started) and self.first is None:
            self.first = now
        if isinstance(event, EpochDone):
            self.epoch_times.append(now)
        if isinstance(event, Finished):
            self.last = now
            self.num_finished += 1
            self.training += event.seconds
            if self.num_finished % 100 == 0:
                self.memory.append(psutil.Process().memory_info().rss)


def study_of(num_runs: int, epochs: int) -> Study:
    layers = ["conv 4 3x3 relu", "maxpool 2", "flatten", "dense classes softmax"]
    return Study.of(
        {
            "name": "tiny",
            "question": "What does a cluster add?",
            "data": {"name": "digits", "validation": 0.2},
            "network": {"layers": layers},
            "training": {"epochs": epochs, "batch_size": 64},
            "seeds": {"count": num_runs},
        }
    )


def measure(study: Study, store: Path, workers: int, on: str) -> dict[str, Any]:
    watch = Watch()
    most = [0]
    done = threading.Event()

    def follow_bridge() -> None:
        while not done.wait(0.5):
            for child in psutil.Process().children():
                with contextlib.suppress(psutil.Error):
                    if "assay.runner.ray" in child.cmdline():
                        most[0] = max(most[0], child.memory_info().rss)

    threading.Thread(target=follow_bridge, daemon=True).start()
    started = time.perf_counter()
    result = assay.run(study, store=store, workers=workers, on=on, progress=watch)
    whole = time.perf_counter() - started
    done.set()
    states = {run.state for run in result.brief.runs}
    wall = watch.last - (watch.first or 0.0)  # without what starting the workers takes
    return {
        "on": on,
        "workers": workers,
        "states": sorted(states),
        "runs": watch.num_finished,
        "start_seconds": whole - wall,
        "wall_seconds": wall,
        "training_seconds": watch.training,
        "overhead_ms_a_run": 1000 * (wall * min(workers, cores()) - watch.training) / watch.num_finished,
        "epoch_rows_a_second": len(watch.epoch_times) / wall,
        "driver_bytes": {"after 100 runs": watch.memory[0], "at the end": watch.memory[-1]} if watch.memory else None,
        "bridge_peak_bytes": most[0],
    }


@contextlib.contextmanager
def cluster(address: str, num_cores: int) -> Iterator[str]:
    """The address to use; a cluster is started here for ``start``."""
    if address != "start":
        yield address
        return
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["PYTHONPATH"] = str(Path(assay.__file__).parents[1])
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    started = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            started.add_node(num_cpus=max(1, num_cores // 2), object_store_memory=STORE_BYTES, include_dashboard=False)
        os.environ["RAY_ADDRESS"] = started.address
        yield "ray"
    finally:
        started.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--address", default="start")
    parser.add_argument("--local", action="store_true", help="The same on this machine's executor, at as many workers.")
    parser.add_argument("--json", type=Path)
    told = parser.parse_args()
    found: dict[str, Any] = {"machine": machine(), "measured": []}
    study = study_of(told.runs, told.epochs)
    with tempfile.TemporaryDirectory() as folder, cluster(told.address, max(told.workers) + 1) as on:
        # Compiles the kernels and measures the memory, so that every slot declares it.
        warm = study_of(2, told.epochs)
        for workers in told.workers:
            for place in (["local"] if told.local else []) + [on]:
                store = Path(folder) / f"{place}-{workers}"
                assay.run(warm.model_copy(update={"name": "warm"}), store=store, workers=1, on=place, progress=Silent())
                found["measured"].append(measure(study, store, workers, place))
                print(json.dumps(found["measured"][-1]), file=sys.stderr, flush=True)
    print(json.dumps(found, indent=2))
    if told.json:
        told.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
