"""``python -m tests.attack``: attacks of every kind, one after another, until the time is over.

Every case draws from a seed, the attack's name and its number alone: a failure prints the command that repeats it.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from . import inputs, requests, stores, storms
from .cases import Attack

ATTACKS: dict[str, Attack] = {
    "studies": inputs.studies,
    "data": inputs.data,
    "models": inputs.models,
    "requests": requests.attack,
    "stores": stores.attack,
    "storms": storms.attack,
}
# Shares of the time.
_SHARES = {"studies": 3, "data": 3, "models": 2, "requests": 2, "stores": 4, "storms": 6}


def attack_once(name: str, seed: int, number: int, base: Path) -> None:
    """One case. Whatever is raised, it is a fault."""
    folder = base / f"{name}-{number}"
    folder.mkdir()
    before = Path.cwd()
    os.chdir(folder)
    try:
        ATTACKS[name](random.Random(f"{seed}/{name}/{number}"), folder)
    finally:
        os.chdir(before)
    shutil.rmtree(folder, ignore_errors=True)  # what a fault was found in stays


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None, help="of the cases; a new one each time if left out")
    parser.add_argument("--only", choices=list(ATTACKS), help="attacks of this kind alone")
    parser.add_argument("--case", type=int, help="this case alone, of --only")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**9)
    base = Path(tempfile.mkdtemp(prefix="assay-attack-"))
    os.environ.setdefault("ASSAY_CACHE", str(base / "cache"))
    print(f"seed {seed}; cases in {base}", flush=True)
    names = [given.only] if given.only else list(ATTACKS)
    ends = time.monotonic() + 60 * given.minutes
    spent: dict[str, float] = dict.fromkeys(names, 0.0)
    counts: collections.Counter[str] = collections.Counter()
    faults = 0
    try:
        while time.monotonic() < ends:
            name = min(names, key=lambda one: spent[one] / _SHARES[one])
            number = given.case if given.case is not None else counts[name]
            began = time.monotonic()
            try:
                attack_once(name, seed, number, base)
            except Exception:
                faults += 1
                print(f"\nFAULT: python -m tests.attack --seed {seed} --only {name} --case {number}", flush=True)
                traceback.print_exc(limit=-6)
            spent[name] += time.monotonic() - began
            counts[name] += 1
            if given.case is not None:
                break
    finally:
        requests.close()
    print(", ".join(f"{name} {counts[name]}" for name in names) + f"; {faults} faults (seed {seed})")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
