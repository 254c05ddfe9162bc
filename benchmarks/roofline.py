"""The machine's ceilings, measured through torch: matrix products and copies, on one thread and on all.

Prints one JSON line: GFLOP/s and GB/s (read and written bytes both count), the best of a few tries each.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable

import torch


def best_seconds(work: Callable[[], object], at_least: float) -> float:
    """The shortest of several tries: a ceiling is what is possible, not what is usual."""
    work()
    best, spent = float("inf"), 0.0
    while spent < at_least:
        started = time.perf_counter()
        work()
        taken = time.perf_counter() - started
        best, spent = min(best, taken), spent + taken
    return best


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=2048, help="rows and columns of the matrices")
    parser.add_argument("--megabytes", type=int, default=256, help="size of what is copied")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each ceiling")
    chosen = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ceilings: dict[str, dict[str, float]] = {}
    for threads in sorted({1, cores}):
        torch.set_num_threads(threads)
        found = {}
        for dtype in (torch.float32, torch.bfloat16):
            one, other = (torch.randn(chosen.size, chosen.size).to(dtype) for _ in range(2))
            seconds = best_seconds(lambda one=one, other=other: torch.mm(one, other), chosen.seconds)
            found[f"matmul_{str(dtype).removeprefix('torch.')}_gflops"] = 2 * chosen.size**3 / seconds / 1e9
        source = torch.ones(chosen.megabytes * 250_000)
        target = torch.empty_like(source)
        seconds = best_seconds(lambda source=source, target=target: target.copy_(source), chosen.seconds)
        found["copy_gigabytes_per_second"] = 2 * source.numel() * 4 / seconds / 1e9
        ceilings[str(threads)] = found
    print(json.dumps({"threads": ceilings, "versions": {"torch": torch.__version__}}))


if __name__ == "__main__":
    main()
