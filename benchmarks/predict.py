"""How fast `assay predict` classifies: document E's network (5,899 parameters), from IDX, npz and CSV files.

    python benchmarks/predict.py [--images 300000] [--repeats 5]

A run of that network is made (one epoch on random images: its answers do not matter here), then the command runs in
a process of its own for each source and repeat. Told are images a second while reading, classifying and writing, the
whole process's seconds with its start, and the most memory that it held. The first run on a machine compiles kernels;
it is told apart.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import assay
from assay.data.readers.delimited import write_delimited
from assay.data.readers.idx import write_idx
from assay.spec import Study

LAYERS = [
    *["conv 10 3x3 relu", "maxpool 2 padding=same", "dropout 0.1", "conv 4 3x3 relu", "maxpool 2 padding=same"],
    *["flatten", "dense 35 relu", "dropout 0.1", "dense classes softmax"],
]


def make_run(store: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (1000, 28, 28), dtype=np.uint8)
    study = {
        "name": "document-e-network",
        "question": "How fast does it predict?",
        "data": {**assay.arrays(images, np.arange(1000) % 10).model_dump(exclude_none=True), "validation": 0.2},
        "network": {"layers": LAYERS},
        "training": {"epochs": 1},
        "seeds": {"count": 1},
    }
    assay.run(Study.of(study), store=store)


def sources(folder: Path, count: int) -> dict[str, Path]:
    """The same random images as IDX, npz and (a tenth of them) as CSV."""
    images = np.random.default_rng(1).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    found = {"idx": folder / "images.idx", "npz": folder / "images.npz", "csv": folder / "images.csv"}
    write_idx(found["idx"], images)
    np.savez(found["npz"], images=images)
    write_delimited(found["csv"], images[: count // 10, ..., None], None, values="bytes")
    return found


def timed(source: Path, store: Path) -> tuple[dict[str, float], float, float]:
    """The command's own summary, the process's seconds, and its peak memory in MiB."""
    target = source.with_suffix(".out.csv")
    command = [sys.executable, "-m", "assay", "predict", "document-e-network", str(source), "-o", str(target)]
    command += ["--store", str(store), "--json"]
    started = time.perf_counter()
    script = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    return json.loads(done.stdout), seconds, int(done.stderr.split()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=300_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_run(folder / "store")
        files = sources(folder, options.images)
        first, seconds, _ = timed(files["idx"], folder / "store")
        print(f"first run: {seconds:.1f} s in all, {first['images'] / first['seconds']:,.0f} images a second")
        for kind, path in files.items():
            runs = [timed(path, folder / "store") for _ in range(options.repeats)]
            rates = [told["images"] / told["seconds"] for told, _, _ in runs]
            print(
                f"{kind}: {runs[0][0]['images']:,} images; images a second: median {statistics.median(rates):,.0f}, "
                f"from {min(rates):,.0f} to {max(rates):,.0f} (n = {len(rates)}); "
                f"process {statistics.median(s for _, s, _ in runs):.1f} s, at most {max(m for *_, m in runs):,.0f} MiB"
            )
        print(f"cores: {len(os.sched_getaffinity(0))}; load before: {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
