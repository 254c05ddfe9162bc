"""What the rivals' scripts share: arguments, images, a clock. No heavy library is imported at the top."""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from probes import EPOCH, PROBES, Probe


def arguments(*variants: str) -> argparse.Namespace:
    """Read the command line. Must come before the libraries are imported, since it limits their threads."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--probe", choices=PROBES, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder with the probe's IDX files, or an .npz")
    parser.add_argument("--variant", choices=variants or ("",), default=(variants or ("",))[0])
    parser.add_argument("--epochs", type=int, default=2, help="timed ones, after one to warm up")
    parser.add_argument("--images", type=int, default=EPOCH)
    parser.add_argument("--threads", type=int, default=0, help="0: as many as the library takes by itself")
    parser.add_argument("--place", type=int, default=0, help="which of the processes side by side this is")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument(
        "--packed",
        action="store_true",
        help='print "ready" after warming up, wait for a line on standard input, and go on training when the result '
        "is printed, until killed: so that processes side by side are all busy while any is timed",
    )
    chosen = parser.parse_args()
    chosen.probe = PROBES[chosen.probe]
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if chosen.threads:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[name] = str(chosen.threads)
    return chosen


def read_idx(path: Path) -> Any:
    """The uint8 array in an IDX file, gzipped or not."""
    import numpy as np

    packed = path.with_name(path.name + ".gz")
    content = gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes()
    if content[:3] != b"\x00\x00\x08":
        raise SystemExit(f"{path} is no IDX file of bytes")
    sizes = np.frombuffer(content, ">u4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(tuple(map(int, sizes)))


def load(source: Path, probe: Probe, images: int) -> tuple[Any, Any]:
    """Training images float32 [n, height, width, channels], scaled as the probe says, and classes int64 [n]."""
    import numpy as np

    if source.suffix == ".npz":
        with np.load(source) as arrays:
            stored, classes = arrays["x_train"], arrays["y_train"]
    else:
        stored = read_idx(source / "train-images-idx3-ubyte")[..., None]
        classes = read_idx(source / "train-labels-idx1-ubyte")
    pixels = stored[:images].astype(np.float32)
    if probe.scaling == "unit":
        pixels /= 255
    return pixels, classes[:images].astype(np.int64)


@dataclass
class Clock:
    """Times epochs and prints the result as one JSON line.

    ``images`` is what one epoch really trains on; ``about`` goes into the result (versions, the last loss).
    """

    chosen: argparse.Namespace
    images: int
    about: dict[str, Any] = field(default_factory=dict)

    def epochs(self) -> Iterator[None]:
        """Yields once an epoch. What the caller does until it asks for the next is timed, the first time excepted."""
        started = time.perf_counter()
        yield
        warm_up = time.perf_counter() - started
        if self.chosen.packed:
            print("ready", flush=True)
            sys.stdin.readline()
        seconds = []
        for _ in range(self.chosen.epochs):
            started = time.perf_counter()
            yield
            seconds.append(time.perf_counter() - started)
        result = {
            "epoch_seconds": [value * EPOCH / self.images for value in seconds],
            "timed_seconds": seconds,
            "warm_up_seconds": warm_up,
            "images": self.images,
            "threads": self.chosen.threads,
            "precision": self.chosen.precision,
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            **self.about,
        }
        print(json.dumps(result), flush=True)
        while self.chosen.packed:
            yield
