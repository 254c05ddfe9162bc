"""A part of ``make attack``: the same cases each time in the default tests, new ones for ten minutes among the slow."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import requests
from .__main__ import ATTACKS, attack_once

SEED = 26
# Which cases of each kind: about half a minute together. Of the storms one that kills once, after 5 seconds.
CASES = {
    "studies": range(25),
    "data": range(30),
    "models": range(20),
    "requests": range(10),
    "stores": range(12),
    "storms": range(26, 27),
}


@pytest.fixture(scope="module", autouse=True)
def closed() -> Iterator[None]:
    yield
    requests.close()


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_attacked_stands(name: str, tmp_path: Path) -> None:
    for number in CASES[name]:
        attack_once(name, SEED, number, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_new_attacks_find_nothing(name: str, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**9)
    ends, number = time.monotonic() + 600 / len(ATTACKS), 0
    while time.monotonic() < ends:
        try:
            attack_once(name, seed, number, tmp_path)
        except Exception as error:
            raise AssertionError(f"python -m tests.attack --seed {seed} --only {name} --case {number}") from error
        number += 1
    assert number > 0
