"""How often studies on several data sets call what is not there: `python -m tests.stats.general_simulation`.

Two arms on each data set, 10 seeds, one look as planned. A data set's effect is the logarithm of the ratio of error
rates; seeds move it by a noise of their own. *None* has no effect anywhere. In the others effects differ between data
sets around 0, so that the only false call is one in general.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from assay.stats import History, Look, Spending, decide
from assay.stats.general import GeneralLook, judge_general
from assay.stats.sequential import AT_PLAN

SEEDS = 10


@dataclass(frozen=True)
class Truth:
    """How data sets differ.

    Args:
        effects: ``none``, ``normal``, ``heavy`` (Student's t with 3 degrees of freedom) or ``skewed`` (exponential).
        mean: The effect in general, in deviations of the data sets' own.
        unequal: Deviation of the logarithm of the data sets' scale.
        noise: Of one seed, over the deviation of the effects.
        unequal_noise: Deviation of the logarithm of the noise.
    """

    effects: str = "normal"
    mean: float = 0.0
    unequal: float = 0.0
    noise: float = 1.0
    unequal_noise: float = 0.5


TRUTHS = {
    "no effect anywhere": Truth("none", unequal_noise=1.0),
    "normal": Truth(),
    "normal, unequal": Truth(unequal=1.0),
    "normal, noisy": Truth(noise=4.0, unequal_noise=1.0),
    "heavy tails": Truth("heavy"),
    "skewed": Truth("skewed"),
}


def studies(rng: np.random.Generator, truth: Truth, count: int, sets: int) -> np.ndarray:
    """Differences by seed [studies, data sets, seeds]."""
    size = (count, sets)
    shape = {
        "none": lambda: np.zeros(size),
        "normal": lambda: rng.normal(size=size),
        "heavy": lambda: rng.standard_t(3, size=size) / 3**0.5,
        "skewed": lambda: rng.exponential(size=size) - 1,
    }[truth.effects]()
    scale = np.exp(truth.unequal * rng.normal(size=size))
    noise = truth.noise * np.exp(truth.unequal_noise * rng.normal(size=size)) * scale
    effects = (truth.mean + shape) * scale
    return effects[..., None] + noise[..., None] * rng.normal(size=(*size, SEEDS))


def general_calls(values: np.ndarray, share: float = 0.5) -> np.ndarray:
    """Whether each study calls a difference in general at the planned look, of one contrast [studies]."""
    means = values.mean(2)
    sets = means.shape[1]
    t = np.abs(means.mean(1)) / (means.std(1, ddof=1) / sets**0.5)
    return np.asarray(2 * stdtr(sets - 1, -t) < 0.05 * AT_PLAN * share)


def family_calls(values: np.ndarray) -> tuple[bool, bool]:
    """Whether one study calls a difference in general, and on any data set, with the 5 % shared as a study does."""
    plan = Spending(SEEDS)
    looks = [[GeneralLook(values.mean(1), AT_PLAN)]]
    is_general = judge_general(looks, share=0.5)[0].is_decided
    share = 1.0 if is_general else 0.5
    found = decide([History((Look(row, SEEDS),), plan, 0, share, most=share) for row in values])
    decided = [one.outcome in ("better", "worse") for one in found]
    if all(decided):
        is_general = judge_general(looks, share=1.0)[0].is_decided
    return is_general, any(decided)


def main() -> None:
    rng = np.random.default_rng(2006)
    print("percent of studies with a verdict in general")
    for name, truth in TRUTHS.items():
        row = [100 * general_calls(studies(rng, truth, 40_000, sets)).mean() for sets in (5, 6, 8, 12)]
        print(f"{name:24}" + "".join(f"{value:7.1f}" for value in row))
    for mean in (1.0, 2.0):
        row = [100 * general_calls(studies(rng, Truth(mean=mean), 40_000, sets)).mean() for sets in (5, 6, 8, 12)]
        print(f"a true effect of {mean:g}      " + "".join(f"{value:7.1f}" for value in row))
    calls = [family_calls(one) for one in studies(rng, TRUTHS["no effect anywhere"], 4000, 6)]
    print(f"no effect, 6 data sets: any verdict in {100 * np.mean([any(one) for one in calls]):.1f} % of studies")


if __name__ == "__main__":
    main()
