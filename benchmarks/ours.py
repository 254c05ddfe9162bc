"""Assay's side of the benchmark, through its public call. Run by the interpreter that has Assay; prints one JSON line.

``packed`` trains as many runs at a time as there are workers, ``alone`` one run on the whole machine. The first epoch
is dropped (it starts things up), and of runs side by side the last one too (a neighbour may have finished before).
What is timed is the epoch that Assay records itself; with 10 validation images next to nothing of it is evaluation.
``first-use`` trains one run and tells what its kernels cost to make; ``shipped`` trains one run of a shipped study;
``tally`` counts what a store holds of one.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from typing import Any

from probes import EPOCH, PROBES, Probe

import assay
from assay.data import prepare
from assay.spec import Study
from assay.store import RunRecord

VALIDATION = 10


def study_of(probe: Probe, *, seeds: int, epochs: int, images: int) -> Study:
    """The probe as a study of one arm.

    Fewer images than an epoch has are for trying this script out: the others become validation images, and their
    evaluation is in the time.
    """
    optimizer = {"name": probe.optimizer, "learning_rate": probe.learning_rate}
    validation = max(VALIDATION, EPOCH - images)
    return Study.of(
        {
            "name": f"probe-{probe.key}",
            "data": {"name": probe.data, "validation": validation, "scaling": probe.scaling},
            "network": {"layers": list(probe.layers)},
            "training": {"epochs": epochs, "batch_size": probe.batch_size, "optimizer": optimizer},
            "seeds": {"count": seeds},
        }
    )


def train(study: Study, workers: int | None = None) -> tuple[RunRecord, ...]:
    """The study's runs, trained in a store of their own."""
    with tempfile.TemporaryDirectory() as store:
        return assay.run(study, store=store, workers=workers).runs


def result_of(run: RunRecord, study: Study, *, drop_last: bool) -> dict[str, Any]:
    """What the report needs of one run."""
    seconds = [epoch.seconds for epoch in run.epochs]
    images = EPOCH - int(study.data.validation)
    kept = slice(1, -1 if drop_last else None)
    return {
        "epoch_seconds": [value * EPOCH / images for value in seconds[kept]],
        "timed_seconds": seconds[kept],
        "all_seconds": seconds,
        "images": images,
        "threads": run.environment.get("threads"),
        "precision": run.environment.get("precision"),
        "peak_memory_bytes": run.peak_memory_bytes,
        "shared_data_bytes": sum(path.stat().st_size for path in prepare(study.data.name).training_files()),
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("packed", "alone", "first-use", "shipped", "tally"))
    parser.add_argument("--probe", choices=PROBES)
    parser.add_argument("--study", help="a shipped study's name")
    parser.add_argument("--store", help="of the study to count")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=2, help="timed ones")
    parser.add_argument("--images", type=int, default=EPOCH)
    chosen = parser.parse_args()

    if chosen.what == "tally":
        runs = assay.result(chosen.study, store=chosen.store).runs
        counts = {
            "num_arms": len({run.arm for run in runs}),
            "num_runs": len(runs),
            "num_finished": sum(run.state == "finished" for run in runs),
            "epochs": sorted({run.epochs_planned for run in runs}),
        }
        print(json.dumps(counts))
        return
    if chosen.what == "shipped":
        study = assay.load(chosen.study)
        study = study.model_copy(update={"seeds": study.seeds.model_copy(update={"count": 1})})
        if len(study.expand()) != 1:
            raise SystemExit(f"{chosen.study} has more than one arm")
        started = time.perf_counter()
        (run,) = train(study)
        wall = time.perf_counter() - started
        accuracy = run.last.validation_accuracy if run.last else None
        print(json.dumps({"run_seconds": run.seconds, "command_seconds": wall, "validation_accuracy": accuracy}))
        return

    probe, is_packed = PROBES[chosen.probe], chosen.what == "packed"
    epochs = 2 if chosen.what == "first-use" else chosen.epochs + (2 if is_packed else 1)
    seeds = chosen.workers if is_packed else 1
    study = study_of(probe, seeds=seeds, epochs=epochs, images=chosen.images)
    runs = train(study, workers=chosen.workers if is_packed else None)
    failed = [run for run in runs if run.state != "finished"]
    if failed:
        raise SystemExit(f"a run of probe {probe.key} ended as {failed[0].state}: {failed[0].reason}")

    if chosen.what == "first-use":
        (run,) = runs
        first, second = (epoch.seconds for epoch in run.epochs)
        told = run.environment.get("compile_seconds")
        result = {
            "seconds": first - second if told is None else told,
            "source": "first epoch minus second" if told is None else "told by the run",
            "epoch_seconds": [first, second],
            "outside_epochs_seconds": (run.finished or 0) - (run.started or 0) - first - second,
        }
        print(json.dumps(result))
        return

    results = [result_of(run, study, drop_last=is_packed) for run in runs]
    about = {"overlap": overlap(results)} if is_packed else {}
    print(json.dumps({"results": results, **about}))


if __name__ == "__main__":
    main()
