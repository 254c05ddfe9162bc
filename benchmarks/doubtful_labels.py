"""Planted label errors, and who finds them: Assay's doubtful labels beside cleanlab's ``find_label_issues``.

    python benchmarks/doubtful_labels.py [--data mnist fashion_mnist cifar10] [--shares 0.01 0.05 0.2] [--seeds 1]
                                         [--keep FOLDER] [--output FILE]

In each cell this share of the training labels is replaced, each by another class drawn uniformly. A small network is
cross-validated in three folds; of every image there are then probabilities by a network that has not learned from it,
of several seeds their mean. Both methods get these same probabilities and the same wrong labels. Precision is the share
of the images named that were planted, recall the share of the planted ones that is named. Errors that the data had
before count as false, for both.

cleanlab (2.9; ``pip install cleanlab``) is asked by its defaults (``prune_by_noise_rate``). ``--keep`` keeps
probabilities, so that a second call trains nothing. ``cifar10`` is a folder ``cifar10_jpeg`` in ``ASSAY_DATA`` where
there is one, else the registered data set.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from assay.data import Dataset, prepare
from assay.data.variations import Settings, generator_of, noisy_labels
from assay.spec import Data, Study
from assay.stats import label_errors
from assay.train import Task
from assay.train.engine import train

FOLDS = 3
GREY = [
    "conv 16 3x3 relu", "maxpool 2", "conv 32 3x3 relu", "maxpool 2", "flatten", "dropout 0.3", "dense 64 relu",
    "dense classes softmax",
]  # fmt: skip
BLOCK = ["conv {} 3x3 padding=same", "batchnorm", "relu", "maxpool 2"]
COLOUR = [line.format(width) for width in (16, 32, 32) for line in BLOCK] + [
    "flatten", "dropout 0.3", "dense classes softmax"
]  # fmt: skip
NETWORKS = {"mnist": (GREY, 3), "fashion_mnist": (GREY, 5), "cifar10": (COLOUR, 5)}  # with epochs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--shares", nargs="+", type=float, default=[0.01, 0.05, 0.2])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--output", type=Path)
    chosen = parser.parse_args()
    rows = []
    for name in chosen.data:
        for share in chosen.shares:
            rows.append(cell(name, share, chosen.seeds, chosen.keep))
            print(line(rows[-1]), flush=True)
    if chosen.output:
        chosen.output.write_text(json.dumps(rows, indent=1) + "\n")


def cell(name: str, share: float, seeds: int, keep: Path | None) -> dict[str, Any]:
    """One data set with one share of errors: what both methods find."""
    parts = [probabilities(name, share, seed, keep) for seed in range(seeds)]
    labels, is_planted = parts[0][1], parts[0][2]
    mean = np.mean([one for one, _, _ in parts], axis=0)
    row: dict[str, Any] = {
        "data": name, "share": share, "planted": int(is_planted.sum()),
        "accuracy": float((mean.argmax(1) == labels).mean()),
    }  # fmt: skip
    errors = label_errors(mean, labels)
    row["assay"] = scored(errors.wrong, is_planted)
    if importlib.util.find_spec("cleanlab") is not None:
        from cleanlab.filter import find_label_issues

        named = find_label_issues(labels, mean)
        row["cleanlab"] = scored(named, is_planted)
        first = np.zeros(len(labels), bool)  # as many as cleanlab names, in our order
        first[np.argsort(-errors.doubt, kind="stable")[: int(named.sum())]] = True
        row["assay, as many"] = scored(first, is_planted)
    return row


def scored(named: Any, is_planted: Any) -> dict[str, float]:
    hits = int((named & is_planted).sum())
    precision, recall = hits / max(int(named.sum()), 1), hits / int(is_planted.sum())
    return {
        "named": int(named.sum()), "precision": precision, "recall": recall,
        "f1": 2 * precision * recall / max(precision + recall, 1e-12),
    }  # fmt: skip


def line(row: dict[str, Any]) -> str:
    cells = [f"{row['data']} {row['share']:.0%}, {row['planted']:,} planted, network right on {row['accuracy']:.1%}"]
    for who in ("assay", "assay, as many", "cleanlab"):
        if who in row:
            one = row[who]
            cells.append(
                f"{who}: {one['named']:,} named, precision {one['precision']:.3f}, recall {one['recall']:.3f}, "
                f"F1 {one['f1']:.3f}"
            )
    return "\n  ".join(cells)


def probabilities(name: str, share: float, seed: int, keep: Path | None) -> tuple[Any, Any, Any]:
    """Cross-validated probabilities [n, classes], labels with errors [n], and which of them were planted [n]."""
    file = None if keep is None else keep / f"{name}-{share:g}-{seed}.npz"
    if file is not None and file.exists():
        with np.load(file) as kept:
            return kept["probabilities"].astype(np.float64), kept["labels"], kept["planted"]
    training = source(name).training()
    layers, epochs = NETWORKS[name]
    study = Study.of(
        {
            "data": {"content": "0" * 64, "validation": f"{FOLDS}-fold"},
            "network": {"layers": layers},
            "training": {"epochs": epochs, "schedule": "cosine"},
        }
    )
    (arm,), nowhere = study.expand(), Path()
    generator = generator_of(0, "noisy-labels", "training")
    labels, changed = noisy_labels(np.asarray(training.labels), 10, generator, Settings(share=share))
    data = replace(training, labels=labels)
    logs = np.zeros((len(labels), 10), np.float32)
    started = time.process_time()
    for fold in range(1, FOLDS + 1):
        task = Task(
            "benchmark", arm, study.data, seed, tuple(study.seeds.vary), 10, nowhere, nowhere, nowhere, fold=fold
        )  # fmt: skip
        trained = train(task, data)
        logs[trained.validation] = trained.log_probabilities
    print(f"{name} {share:.0%} seed {seed}: {time.process_time() - started:.0f} s of processor time", flush=True)
    is_planted = np.zeros(len(labels), bool)
    is_planted[changed] = True
    values = np.exp(logs.astype(np.float64))
    values /= values.sum(1, keepdims=True)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(file, probabilities=values.astype(np.float32), labels=labels, planted=is_planted)
    return values, labels, is_planted


def source(name: str) -> Dataset:
    folder = Path(os.environ.get("ASSAY_DATA", "")) / "cifar10_jpeg"
    if name == "cifar10" and folder.is_dir():
        return prepare(Data(path=str(folder)))
    return prepare(Data(name=name))


if __name__ == "__main__":
    main()
