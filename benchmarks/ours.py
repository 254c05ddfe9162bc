"""Assay's side of the benchmark, through its public call. Run by the interpreter that has Assay; prints one JSON line.

``packed`` trains as many runs at a time as there are workers, ``alone`` one run on the whole machine. The first epoch
is dropped (it starts things up), and of runs side by side the last one too (a neighbour may have finished before).
What is timed is the epoch that Assay records itself; with 10 validation images next to nothing of it is evaluation.
``first-use`` trains one run, in whose time kernels are made; ``shipped`` trains one run of a shipped study; ``tally``
counts what a store holds of one; ``rates`` and ``traffic`` give what the report compares times with.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict
from typing import Any

import numpy as np
from probes import CLASSES, EPOCH, PROBES, Probe

import assay
from assay.data import prepare
from assay.spec import Study
from assay.store import RunRecord

VALIDATION = 10


def study_of(probe: Probe, *, seeds: int, epochs: int, images: int, file: str | None = None) -> Study:
    """The probe as a study of one arm.

    Args:
        probe: The network and its training.
        seeds: How many runs.
        epochs: Of each run.
        images: How many images to train on: all of the probe's, or fewer to try this script out.
        file: The arrays of a probe whose data are no registered ones.
    """
    source = {"path": file} if file else {"name": probe.data}
    fewer = {} if images >= probe.images - VALIDATION else {"training": f"{images // CLASSES} per class"}
    return Study.of(
        {
            "name": f"probe-{probe.key}",
            "data": {**source, **fewer, "validation": VALIDATION, "scaling": probe.scaling},
            "network": {"layers": list(probe.layers)},
            "training": {
                "epochs": epochs,
                "batch_size": probe.batch_size,
                "optimizer": {"name": probe.optimizer, "learning_rate": probe.learning_rate},
            },
            "seeds": {"count": seeds},
        }
    )


def train(study: Study, workers: int | None = None) -> tuple[RunRecord, ...]:
    """The study's runs, trained in a store of their own."""
    with tempfile.TemporaryDirectory() as store:
        return assay.run(study, store=store, workers=workers).runs


def result_of(run: RunRecord, study: Study, images: int, *, drop_last: bool) -> dict[str, Any]:
    """What the report needs of one run, whose epochs had so many images."""
    seconds = [epoch.seconds for epoch in run.epochs]
    kept = slice(1, -1 if drop_last else None)
    return {
        "epoch_seconds": [value * EPOCH / images for value in seconds[kept]],
        "timed_seconds": seconds[kept],
        "all_seconds": seconds,
        "images": images,
        "threads": run.environment.get("threads"),
        "precision": run.environment.get("precision"),
        "peak_memory_bytes": run.peak_memory_bytes,
        "shared_data_bytes": sum(path.stat().st_size for path in prepare(study.data).training_files()),
        "loss": run.epochs[-1].running_loss if run.epochs else None,
        "state": run.state,
        "reason": run.reason,
        "started": run.started,
        "finished": run.finished,
        "versions": run.environment.get("versions", {}),
    }


def overlap(results: list[dict[str, Any]]) -> float:
    """The smallest share of a run's timed epochs in which every other run was busy too: 1 if all is well."""
    shares = [1.0]
    for one in results:
        end = one["finished"] - one["all_seconds"][-1]
        start = end - sum(one["timed_seconds"])
        for other in results:
            both = min(end, other["finished"]) - max(start, other["started"])
            shares.append(max(0.0, both) / (end - start))
    return min(shares)


def side_by_side(chosen: argparse.Namespace) -> dict[str, Any]:
    """As many runs at a time as workers, or one alone."""
    is_packed = chosen.what == "packed"
    seeds = chosen.workers if is_packed else 1
    study = _study(chosen, seeds, chosen.epochs + (2 if is_packed else 1))
    runs = _finished(train(study, workers=chosen.workers if is_packed else None))
    results = [result_of(run, study, _images(chosen), drop_last=is_packed) for run in runs]
    return {"results": results, **({"overlap": overlap(results)} if is_packed else {})}


def first_use(chosen: argparse.Namespace) -> dict[str, Any]:
    """One run of two epochs, before which kernels are made or loaded."""
    (run,) = _finished(train(_study(chosen, 1, 2)))
    return {"epoch_seconds": [epoch.seconds for epoch in run.epochs]}


def shipped(chosen: argparse.Namespace) -> dict[str, Any]:
    """One run of a shipped study."""
    study = assay.load(chosen.study)
    study = study.model_copy(update={"seeds": study.seeds.model_copy(update={"count": 1})})
    if len(study.expand()) != 1:
        raise SystemExit(f"{chosen.study} has more than one arm")
    started = time.perf_counter()
    (run,) = train(study)
    wall = time.perf_counter() - started
    accuracy = run.last.validation_accuracy if run.last else None
    return {"run_seconds": run.seconds, "command_seconds": wall, "validation_accuracy": accuracy}


def tally(chosen: argparse.Namespace) -> dict[str, Any]:
    """What a store holds of a study."""
    runs = assay.result(chosen.study, store=chosen.store).runs
    return {
        "num_arms": len({run.arm for run in runs}),
        "num_runs": len(runs),
        "num_finished": sum(run.state == "finished" for run in runs),
        "epochs": sorted({run.epochs_planned for run in runs}),
    }


def rates(chosen: argparse.Namespace) -> dict[str, Any]:
    """Multiplications and additions of one thread from registers, GFLOP/s, by precision; empty where Assay does not
    measure them because its kernels have no bfloat16."""
    from assay.train.device import kernels_round
    from assay.train.rates import measure

    return asdict(measure()) if kernels_round() else {}


def traffic(chosen: argparse.Namespace) -> dict[str, Any]:
    """Calls of one recorded step, and the bytes of all arrays that they are handed, each once a call. A call may read
    and write an array, or a part of it, so this is near the kernels' traffic and not equal to it."""
    from assay.nets import summary_of
    from assay.seeds import Streams
    from assay.train.fused.network import FusedNetwork
    from assay.train.paths import path_of

    probe = PROBES[chosen.probe]
    (arm,) = _study(chosen, 1, 1).expand()
    summary = summary_of(arm, probe.shape, CLASSES)
    path, precision = path_of(summary, arm.training)
    if path != "fused":
        return {"path": path, "precision": precision}
    batch = probe.batch_size
    streams = Streams(0, frozenset())
    network = FusedNetwork(summary, precision=precision, max_batch=batch, streams=streams)
    images = np.zeros((batch, *probe.shape), np.uint8)
    scaling = np.ones(probe.shape[-1], np.float32)
    network.put_images(images, np.arange(batch), scaling, scaling)
    calls = network._commands(batch, "train").calls
    handed = sum(value.nbytes for _, arguments, _, _ in calls for value in arguments if isinstance(value, np.ndarray))
    return {"path": path, "precision": precision, "calls": len(calls), "bytes": handed}


def _study(chosen: argparse.Namespace, seeds: int, epochs: int) -> Study:
    return study_of(PROBES[chosen.probe], seeds=seeds, epochs=epochs, images=_images(chosen), file=chosen.data)


def _images(chosen: argparse.Namespace) -> int:
    """Images of an epoch. A registered data set gives some of them for validation; the arrays have others for it."""
    images = min(chosen.images, PROBES[chosen.probe].images)
    return images if chosen.data or images < EPOCH else EPOCH - VALIDATION


def _finished(runs: tuple[RunRecord, ...]) -> tuple[RunRecord, ...]:
    for run in runs:
        if run.state != "finished":
            raise SystemExit(f"a run ended as {run.state}: {run.reason}")
    return runs


WORK = {
    "packed": side_by_side,
    "alone": side_by_side,
    "first-use": first_use,
    "shipped": shipped,
    "tally": tally,
    "rates": rates,
    "traffic": traffic,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=WORK)
    parser.add_argument("--probe", choices=PROBES)
    parser.add_argument("--data", help="the arrays of a probe on colour images")
    parser.add_argument("--study", help="a shipped study's name")
    parser.add_argument("--store", help="of the study to count")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=2, help="timed ones")
    parser.add_argument("--images", type=int, default=EPOCH)
    chosen = parser.parse_args()
    print(json.dumps(WORK[chosen.what](chosen)))


if __name__ == "__main__":
    main()
