"""The same search through Assay and through Keras Tuner's Hyperband: best validation accuracy against wall time.

    python benchmarks/search_against_keras_tuner.py --rival .bench-venv/bin/python [--backends tensorflow jax torch]
    python benchmarks/search_against_keras_tuner.py --rival .bench-venv/bin/python --quick     # does everything work?

Document D's space, data and 30 epochs (the shipped study `document-d-search`, run where its tables lie). Both search by
Hyperband with reduction 3, draw at random, and train every candidate once; plateaus and early stopping are left out.
Keras Tuner runs on all cores with `fit` at its defaults; ours with a worker a core. Rounds take turns. Told are seconds
until each has its own best accuracy, and until ours has theirs: medians of the rounds' ratios. With ``--minutes`` the
rival is stopped so long after its start: its best is then what it has by that time. ``--epochs`` shortens both
searches, so that both can run to their ends: of 30 epochs, Keras Tuner's takes hours.

Samples go to `results/search-DATE.json`: for each round and system, (seconds, best accuracy so far).
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

QUICK = {
    "images": 600, "epochs": 3,
    "layers": ["conv 8 3x3 relu", "maxpool 2", "flatten", "dense {units} {activation}", "dropout {dropout}",
               "dense classes softmax"],
}  # fmt: skip
SPACE = {"units": [64, 512, 32], "activation": ["relu", "sigmoid"], "dropout": [0.0, 0.5, 0.1],
         "learning_rate": [0.1, 0.01, 0.001, 0.0001]}  # fmt: skip
BATCH, MOMENTUM, REDUCTION = 100, 0.9, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rival", default=sys.executable, help="Python with keras-tuner and a backend of Keras")
    parser.add_argument("--backends", nargs="+", default=["tensorflow"], help="tensorflow, jax, torch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=0.0, help="stop the rival after so many; 0 for never")
    parser.add_argument("--epochs", type=int, default=0, help="most epochs of a trial, for both; 0 for the study's 30")
    parser.add_argument("--quick", action="store_true", help="a toy: figures mean nothing")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--as-rival", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.as_rival:
        keras_tuner(chosen.as_rival)
        return
    rounds = 1 if chosen.quick else chosen.rounds
    with tempfile.TemporaryDirectory() as folder:
        told = {**prepare(Path(folder), quick=chosen.quick, epochs=chosen.epochs), "minutes": chosen.minutes}
        samples: list[dict[str, Any]] = []
        for number in range(rounds):
            for system in ("assay", *chosen.backends)[:: 1 if number % 2 == 0 else -1]:
                curve = (
                    ours(Path(folder), told, number)
                    if system == "assay"
                    else theirs(Path(folder), told, number, system, chosen.rival)
                )
                samples.append({"round": number, "system": system, "curve": curve})
                print(f"round {number}, {system}: {curve[-1][1]:.2%} after {curve[-1][0]:.1f} s", flush=True)
    for line in verdict(samples):
        print(line)
    name = f"search-{datetime.date.today():%Y-%m-%d}.json"
    place = Path(tempfile.gettempdir()) if chosen.quick else Path(__file__).with_name("results")
    target = chosen.output or place / name
    about = {"cores": os.cpu_count(), "python": sys.version.split()[0], "task": {**told, "data": "document-d"}}
    target.write_text(json.dumps({"about": about, "samples": samples}, indent=1))
    print(f"samples: {target}")


def prepare(folder: Path, *, quick: bool, epochs: int) -> dict[str, Any]:
    """The task that both are given: training and validation images as one file, the network's words, the space."""
    import numpy as np

    import assay
    from assay.data import prepare as data

    study = assay.load("document-d-search")
    dataset = data(study.data).training()
    images, labels = np.asarray(dataset.images), np.asarray(dataset.labels)
    layers = [str(line) for line in study.network.layers] if study.network else []
    epochs = epochs or study.planned_epochs
    if quick:
        images, labels = images[: QUICK["images"]], labels[: QUICK["images"]]
        layers, epochs = list(QUICK["layers"]), int(QUICK["epochs"])
    np.savez(folder / "data.npz", images=images, labels=labels)
    told = {"layers": layers, "epochs": epochs, "space": SPACE, "batch": BATCH, "momentum": MOMENTUM,
            "reduction": REDUCTION, "validation": len(images) // 5}  # fmt: skip
    (folder / "task.json").write_text(json.dumps(told))
    return told


def ours(folder: Path, told: dict[str, Any], number: int) -> list[tuple[float, float]]:
    """Best validation accuracy of any epoch so far, against seconds since the search was asked for."""
    import numpy as np

    import assay
    from assay.runner.events import EpochDone, Event
    from assay.runner.progress import Silent
    from assay.spec import Study

    low, high, step = told["space"]["units"]
    drop_low, drop_high, drop_step = told["space"]["dropout"]
    data = np.load(folder / "data.npz")
    source = assay.arrays(data["images"], data["labels"])
    study = Study.of(
        {
            "name": "search",
            "data": {**source.model_dump(exclude_none=True), "validation": {"last": told["validation"]}},
            "network": {"layers": told["layers"]},
            "training": {
                "epochs": told["epochs"],
                "batch_size": told["batch"],
                "optimizer": {"name": "rmsprop", "learning_rate": "{learning_rate}", "momentum": told["momentum"]},
            },
            "search": {
                "halving": {"method": "hyperband", "reduction": told["reduction"]},
                "sampler": "random",
                "seed": number,
                "finalists": 1,
                "space": {
                    "units": {"low": low, "high": high, "step": step},
                    "activation": told["space"]["activation"],
                    "dropout": {"low": drop_low, "high": drop_high, "step": drop_step},
                    "learning_rate": told["space"]["learning_rate"],
                },
            },
            "seeds": {"count": 1},
        }
    )
    curve: list[tuple[float, float]] = []
    started = time.perf_counter()

    class Watch(Silent):
        def begin(self, outlook: Any) -> None:
            self.labels = outlook.labels

        def follow(self, event: Event) -> None:
            is_searched = self.labels.get(getattr(event, "run", ""), "").endswith(f"seed {number}")
            if isinstance(event, EpochDone) and is_searched:
                accuracy = event.record.validation_accuracy
                curve.append((time.perf_counter() - started, max(accuracy, curve[-1][1] if curve else 0.0)))

    with tempfile.TemporaryDirectory() as store:
        assay.run(study, store=store, progress=Watch())
    return curve


def theirs(folder: Path, told: dict[str, Any], number: int, backend: str, python: str) -> list[tuple[float, float]]:
    """The same of Keras Tuner, in a process of its own; seconds are counted from the search's start in it."""
    work = folder / f"{backend}-{number}"
    work.mkdir()
    (work / "task.json").write_text(json.dumps({**told, "seed": number, "data": str(folder / "data.npz")}))
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([python, __file__, "--as-rival", str(work)], env=environment, check=True)
    return [(seconds, accuracy) for seconds, accuracy in json.loads((work / "curve.json").read_text())]


def keras_tuner(work: Path) -> None:
    """Keras Tuner's Hyperband on the task in ``work``; runs under the rival's Python."""
    import keras
    import keras_tuner as kt
    import numpy as np

    told = json.loads((work / "task.json").read_text())
    data = np.load(told["data"])
    images = (data["images"].astype(np.float32) / 255).reshape(*data["images"].shape[:3], -1)
    labels, cut = data["labels"], len(data["labels"]) - told["validation"]
    low, high, step = told["space"]["units"]
    drop_low, drop_high, drop_step = told["space"]["dropout"]
    keras.utils.set_random_seed(told["seed"])
    curve: list[tuple[float, float]] = []

    def build(hp: Any) -> keras.Model:
        values = {
            "units": hp.Int("units", low, high, step),
            "activation": hp.Choice("activation", told["space"]["activation"]),
            "dropout": round(hp.Float("dropout", drop_low, drop_high, drop_step), 6),
        }
        words = [line.format(**values) for line in told["layers"]]
        model = keras.Sequential([keras.Input(images.shape[1:]), *(layer_of(word) for word in words)])
        rate = hp.Choice("learning_rate", told["space"]["learning_rate"])
        optimizer = keras.optimizers.RMSprop(learning_rate=rate, momentum=told["momentum"])
        model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            best = max(float(logs["val_accuracy"]), curve[-1][1] if curve else 0.0)
            curve.append((time.perf_counter() - started, best))
            (work / "curve.json").write_text(json.dumps(curve))
            if told["minutes"] and curve[-1][0] > 60 * told["minutes"]:
                raise SystemExit

        def __deepcopy__(self, memo: Any) -> Watch:
            return self  # the tuner copies callbacks for every trial

    tuner = kt.Hyperband(
        build, objective="val_accuracy", max_epochs=told["epochs"], factor=told["reduction"], seed=told["seed"],
        directory=str(work), project_name="search", overwrite=True,
    )  # fmt: skip
    started = time.perf_counter()
    tuner.search(
        images[:cut], labels[:cut], validation_data=(images[cut:], labels[cut:]), batch_size=told["batch"],
        callbacks=[Watch()], verbose=0,
    )  # fmt: skip


def layer_of(word: str) -> Any:
    """A layer of document D's network, as Keras has it."""
    import keras
    from probes import read

    if word == "dense classes softmax":
        return keras.layers.Dense(10, activation="softmax")
    layer = read(word)
    match layer.kind:
        case "conv":
            return keras.layers.Conv2D(*layer.sizes, activation=layer.activation, padding=layer.padding)
        case "batchnorm":
            return keras.layers.BatchNormalization()
        case "maxpool":
            return keras.layers.MaxPooling2D(layer.sizes[0])
        case "dropout":
            return keras.layers.Dropout(layer.rate)
        case "flatten":
            return keras.layers.Flatten()
        case "dense":
            return keras.layers.Dense(layer.sizes[0], activation=layer.activation)
    raise ValueError(word)


def verdict(samples: list[dict[str, Any]]) -> list[str]:
    """By rival: seconds to each side's own best, and to theirs by ours, with the ratios of each round."""
    mine = {one["round"]: one["curve"] for one in samples if one["system"] == "assay"}
    lines = []
    for system in dict.fromkeys(one["system"] for one in samples if one["system"] != "assay"):
        own, reached, bests = [], [], []
        for one in samples:
            if one["system"] != system:
                continue
            curve, our = one["curve"], mine[one["round"]]
            own.append(until(curve, curve[-1][1]) / until(our, our[-1][1]))
            there = until(our, curve[-1][1])
            reached.append(until(curve, curve[-1][1]) / there if there else None)
            bests.append((curve[-1][1], our[-1][1]))
        known = [ratio for ratio in reached if ratio is not None]
        theirs_, ours_ = (100 * statistics.mean(values) for values in zip(*bests, strict=True))
        told = f"{system}: best {theirs_:.2f} %, ours {ours_:.2f} % (means of {len(bests)} rounds)"
        told += f"; ours has its own best {statistics.median(own):.1f} times as fast as theirs has its own"
        if known:
            told += f", and reaches theirs {statistics.median(known):.1f} times as fast"
        if len(known) < len(reached):
            told += f"; in {len(reached) - len(known)} of them ours did not reach theirs"
        lines.append(told)
    return lines


def until(curve: list[tuple[float, float]], level: float) -> float:
    """Seconds until a curve has reached an accuracy; 0 where it never does."""
    return next((seconds for seconds, accuracy in curve if accuracy >= level), 0.0)


if __name__ == "__main__":
    main()
