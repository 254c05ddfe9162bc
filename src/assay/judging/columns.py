"""What is asked for of a table or a tracker: which columns or settings name arms, seeds and scores."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import DataError, Problem, nearest

SEEDS = ("seed", "random_seed", "random_state", "seed_everything", "rng_seed")
SCORES = (
    "kept_validation_accuracy", "validation_accuracy", "val_accuracy", "val_acc", "validation_acc", "eval_accuracy",
    "accuracy/validation", "validation/accuracy", "validation/epoch_accuracy", "val/accuracy", "val/acc", "accuracy",
    "acc", "val_sparse_categorical_accuracy", "val_categorical_accuracy",
)  # fmt: skip


@dataclass(frozen=True)
class Names:
    """The user's names of what a verdict needs; empty for the usual ones.

    Args:
        arm: What makes an arm: a column or a setting, or several, which are joined to one name.
        seed: What pairs runs.
        score: What is compared.
    """

    arm: tuple[str, ...] = ()
    seed: str = ""
    score: str = ""

    @classmethod
    def of(cls, arm: str | Sequence[str] | None, seed: str | None, score: str | None) -> Names:
        arms = tuple(part.strip() for part in arm.split(",")) if isinstance(arm, str) else tuple(arm or ())
        return cls(tuple(filter(None, arms)), seed or "", score or "")


def arm_name(levels: Mapping[str, str]) -> str:
    """An arm's name from its settings, as a study with factors has it: ``lr=0.1, depth=3``."""
    return ", ".join(f"{key}={value}" for key, value in levels.items())


def chosen(asked: str, usual: Sequence[str], known: Sequence[str], *, what: str, option: str, source: str) -> str:
    """The name that is meant: the one that was asked for, or the first of the usual ones that is there.

    Args:
        asked: By the user; empty for none.
        usual: Names that are taken without asking, the best first.
        known: Names that are there.
        what: For messages: "seed".
        option: That names it.
        source: Where it was looked for.

    Raises:
        DataError: It is not there, or none of the usual ones is.
    """
    if asked:
        if asked in known:
            return asked
        raise DataError(Problem(f'there is no "{asked}" to take as {what}', nearest(asked, list(known)), file=source))
    for name in usual:
        if name in known:
            return name
    listed = ", ".join(sorted(known)[:12]) + (", ..." if len(known) > 12 else "")
    fix = f"name it with {option}" + (f"; there are {listed}" if listed else "")
    none = f"nothing here is called {' or '.join(usual[:3])}, so {what} is not known"
    raise DataError(Problem(none, fix, file=source))


def naturally(text: str) -> list[tuple[int, str]]:
    """Sorts texts by the numbers in them: ``width 8`` before ``width 16``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]
