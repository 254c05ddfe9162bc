"""Learning curves: what a measure becomes with more training images, with a band that several families of curves share.

A mean over seeds is known at a few sizes. What lies beyond them depends on the family of curves that is believed, and
no single one is right often enough (Viering and Loog 2022). So all of them are: each family's parameters are drawn by
how well they agree with the means, and each family counts by how well it agrees as a whole (its evidence).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import Problem, TooFewSeeds
from .intervals import Interval

Array = npt.NDArray[np.float64]

MIN_SIZES = 4  # a curve with an offset has three parameters
MIN_SEEDS = 3
SOURCE = (
    'Viering and Loog (2022), "The shape of learning curves: a review", IEEE TPAMI 45(6); Domhan, Springenberg and '
    'Hutter (2015), "Speeding up automatic hyperparameter optimization by extrapolation of learning curves", IJCAI; '
    'Hoeting et al. (1999), "Bayesian model averaging: a tutorial", Statistical Science 14(4)'
)
_DRAWS, _ROUNDS, _KEPT = 4000, 4, 4000
_LEVEL, _SHARE, _RATE, _SHAPE, _MISFIT = range(5)


@dataclass(frozen=True)
class _Parameters:
    """A family's parameters [draws, 1], from standard normal ones.

    Args:
        level: The loss at the largest size that was seen.
        share: The part of it that no number of images removes.
        rate: How fast the rest falls, about 0.15 to 1.7.
        shape: A standard normal number, which families read in their own ways.
        ceiling: The loss of guessing.
        largest: The largest size that was seen.
    """

    level: Array
    share: Array
    rate: Array
    shape: Array
    ceiling: float
    largest: float

    def falling(self, factor: Array) -> Array:
        """The loss where what can be removed is multiplied by a factor."""
        return self.level * (self.share + (1 - self.share) * factor)


def _power_law(p: _Parameters, x: Array) -> Array:
    return p.falling(x**-p.rate)


def _delayed_power_law(p: _Parameters, x: Array) -> Array:
    delay = np.exp(1.5 * p.shape - 2)
    return p.falling(((x + delay) / (1 + delay)) ** -p.rate)


def _exponential(p: _Parameters, x: Array) -> Array:
    bend = 0.05 + 0.95 / (1 + np.exp(-2 * p.shape))
    return p.falling(np.exp(np.clip(-4 * p.rate**2 / bend * (x**bend - 1), -60, 60)))


def _inverse_logarithm(p: _Parameters, x: Array) -> Array:
    power = 3 * p.rate
    return p.falling((math.log(p.largest + 2) / np.log(x * p.largest + 2)) ** power)


def _logarithm(p: _Parameters, x: Array) -> Array:
    return np.maximum(p.level * (1 - 0.5 * p.rate * np.log(x)), 0.0)


def _sigmoid(p: _Parameters, x: Array) -> Array:
    floor = p.share * p.level
    left = np.maximum((p.ceiling - floor) / np.maximum(p.level - floor, 1e-12) - 1, 1e-6)
    return np.asarray(floor + np.maximum(p.ceiling - floor, 0) / (1 + left * x ** (1.5 * p.rate)))


# x is the number of images over the largest that was seen.
FAMILIES: Mapping[str, Callable[[_Parameters, Array], Array]] = {
    "power law with offset": _power_law,
    "delayed power law": _delayed_power_law,
    "stretched exponential": _exponential,
    "inverse logarithm": _inverse_logarithm,
    "logarithm": _logarithm,
    "sigmoid": _sigmoid,
}


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class LearningCurve:
    """A measure as a function of the number of training images, as far as some sizes tell.

    Args:
        sizes: Images that were trained on [sizes].
        means: The mean over seeds at each [sizes].
        errors: Its standard error [sizes].
        weights: What each family counts, by name; together 1.
        confidence: Of its intervals.
        draws: Parameters in standard normal form, by family [draws, 5].
        best: The measure's best value.
        sign: 1 where higher is better, -1 where lower is.
        ceiling: The loss of guessing.
        common: The standard error of what the seeds do to all sizes alike.
        seed: Of the draws.
    """

    sizes: Array
    means: Array
    errors: Array
    weights: Mapping[str, float]
    confidence: float
    draws: Mapping[str, Array]
    best: float
    sign: float
    ceiling: float
    common: float
    seed: int

    @property
    def largest(self) -> float:
        return float(self.sizes[-1])

    def at(self, images: float) -> Interval:
        """The measure's mean over seeds with so many images: the median of the curves, and their band."""
        return self._interval(self.curves([images])[:, 0])

    def band(self, sizes: npt.ArrayLike) -> Array:
        """Low end, middle and high end at each of several sizes [3, sizes]."""
        tail = (1 - self.confidence) / 2
        values = self.curves(np.asarray(sizes, np.float64))
        return np.asarray(np.quantile(values, [tail, 0.5, 1 - tail], axis=0))

    def gain(self, more: float, *, start: float | None = None) -> Interval:
        """What so many more images change the measure by, from ``start`` on: the largest size that was seen unless
        given.

        What the seeds' own validation images do to all sizes alike falls out of it.
        """
        start = self.largest if start is None else start
        ends = self.curves([start, start + more], is_shifted=False)
        return self._interval(ends[:, 1] - ends[:, 0])

    def curves(self, sizes: Sequence[float] | Array, *, is_shifted: bool = True) -> Array:
        """The measure on each drawn curve [draws, sizes].

        Args:
            sizes: Images.
            is_shifted: Whether curves differ by what the seeds do to all sizes alike.
        """
        rng = np.random.default_rng([self.seed, 1])
        x = np.asarray(sizes, np.float64)[None, :] / self.largest
        losses = []
        for family, z in self.draws.items():
            loss = _loss(family, z, x, self.sizes[-1], self._level, self.ceiling)
            # A misfit that was seen goes on beyond the sizes, as a random walk over doublings does.
            steps = np.sqrt(np.log2(np.maximum(x, 1.0)))
            losses.append(np.maximum(loss * (1 + rng.standard_normal((len(z), 1)) * _misfit(z) * steps), 0.0))
        loss = np.concatenate(losses)
        if is_shifted:
            loss = np.maximum(loss + self.common * rng.standard_normal((len(loss), 1)), 0.0)
        return np.asarray(self.best - self.sign * loss)

    @property
    def _level(self) -> float:
        return max(float(self.sign * (self.best - self.means[-1])), _LEAST)

    def _interval(self, values: Array) -> Interval:
        tail = (1 - self.confidence) / 2
        low, middle, high = (float(value) for value in np.quantile(values, [tail, 0.5, 1 - tail]))
        return Interval(middle, low, high, len(self.sizes), self.confidence, SOURCE)


_LEAST = 1e-5  # a loss below it is none


def learning_curve(
    scores: Sequence[npt.ArrayLike],
    sizes: Sequence[float],
    *,
    guessing: float,
    best: float = 1.0,
    resolution: float = 0.0,
    confidence: float = 0.95,
    families: Sequence[str] = tuple(FAMILIES),
    seed: int = 0,
) -> LearningCurve:
    """The curve that scores at several sizes lie on, as a sample of curves of several families.

    The loss, the distance to the best value, is the family's curve times 1 + m e, with e standard normal and the misfit
    m between about 0.2 and 10 %, plus the error of a mean over seeds. Parameters have wide priors; a sample of those
    that agree with the means is drawn by population Monte Carlo (Cappé et al. 2004), and families are weighted by their
    evidence. So the band holds the seeds' spread, the families' disagreement and what none of them fits.

    Args:
        scores: For each size, one score per seed, in the measure's own unit; where every size has as many, they are
            taken as of the same seeds in the same order, and what a seed does to all sizes alike is told apart.
        sizes: Training images, rising.
        guessing: What a network without images scores.
        best: The measure's best value; below ``guessing`` where lower is better.
        resolution: The least standard error of a mean that is believed, such as a quarter of an image's share.
        confidence: Of the band.
        families: Those that count.
        seed: Of the draws.

    Raises:
        TooFewSeeds: A size has fewer than three scores.
        ValueError: There are fewer than four sizes, they do not rise, a score is not finite, or ``best`` is
            ``guessing``.

    Source: Viering and Loog (2022) for the families; Domhan et al. (2015) for extrapolation by several at a time;
    Hoeting et al. (1999) for averaging.
    """
    rows = [np.asarray(row, np.float64).ravel() for row in scores]
    places = np.asarray(sizes, np.float64)
    if len(rows) != len(places) or len(places) < MIN_SIZES:
        raise ValueError(f"got {len(places)} sizes and scores of {len(rows)}; a curve needs {MIN_SIZES} sizes")
    if (np.diff(places) <= 0).any() or places[0] <= 0:
        raise ValueError(f"got sizes {places.tolist()}; give numbers above 0 that rise")
    if any(not np.isfinite(row).all() for row in rows):
        raise ValueError("a score is not finite; a diverged run is a result: report it, don't drop it")
    if best == guessing:
        raise ValueError(f"the best value is {best}, as is that of guessing; give a measure that can be learned")
    if (fewest := min(map(len, rows))) < MIN_SEEDS:
        raise TooFewSeeds(Problem(f"a size has {fewest} scores, a curve needs {MIN_SEEDS} of each", "run more seeds"))
    sign = 1.0 if best > guessing else -1.0
    means = np.array([row.mean() for row in rows])
    own, common = _errors(rows, resolution)
    losses = np.maximum(sign * (best - means), _LEAST)
    ceiling = max(abs(best - guessing), _LEAST)
    drawn, evidence = {}, {}
    for number, family in enumerate(families):
        rng = np.random.default_rng([seed, 0, number])
        drawn[family], evidence[family] = _drawn(family, places, losses, own, ceiling, rng)
    most = max(evidence.values())
    total = sum(math.exp(value - most) for value in evidence.values())
    weights = {family: math.exp(value - most) / total for family, value in evidence.items()}
    kept = {family: drawn[family][: round(_KEPT * weight)] for family, weight in weights.items()}
    kept = {family: z for family, z in kept.items() if len(z)}
    return LearningCurve(
        places, means, np.sqrt(own**2 + common**2), weights, confidence, kept, best, sign, ceiling, common, seed
    )


def _errors(rows: Sequence[Array], resolution: float) -> tuple[Array, float]:
    """The standard error of each mean by itself [sizes], and of what all share.

    Few seeds estimate a variance badly, so each is drawn halfway to what the others say of it, as three more seeds
    would.
    """
    counts = np.array([len(row) for row in rows])
    variances = np.array([row.var(ddof=1) for row in rows])
    common = 0.0
    if (counts == counts[0]).all():
        covariances = np.cov(np.array(rows))
        off = covariances[np.triu_indices(len(rows), 1)]
        common = min(max(float(off.mean()), 0.0), float(variances.min()))
    left = np.maximum(variances - common, 0.0)
    typical = float(np.exp(np.mean(np.log(np.maximum(left, resolution**2 + 1e-12)))))
    own = ((counts - 1) * left + 3 * np.minimum(typical, 4 * left + 1e-12)) / (counts + 2)
    return np.maximum(np.sqrt(own / counts), max(resolution, 1e-6)), math.sqrt(common / counts[0])


def _loss(family: str, z: Array, x: Array, largest: float, level: float, ceiling: float) -> Array:
    """The loss on each drawn curve [draws, sizes]."""
    from scipy.special import ndtr

    columns = [z[:, place, None] for place in range(z.shape[1])]
    parameters = _Parameters(
        level=level * np.exp(0.3 * columns[_LEVEL]), share=ndtr(1.6 * columns[_SHARE]),
        rate=0.5 * np.exp(0.6 * columns[_RATE]), shape=columns[_SHAPE], ceiling=ceiling, largest=largest,
    )  # fmt: skip
    return np.minimum(FAMILIES[family](parameters, x), 2 * ceiling)


def _misfit(z: Array) -> Array:
    """What a drawn curve is off by, as a part of the loss [draws, 1]."""
    return np.asarray(0.015 * np.exp(z[:, _MISFIT, None]))


def _drawn(
    family: str, sizes: Array, losses: Array, errors: Array, ceiling: float, rng: np.random.Generator
) -> tuple[Array, float]:
    """Parameters that agree with the losses, and the logarithm of the family's evidence."""
    x = sizes[None, :] / sizes[-1]

    def log_posterior(z: Array) -> Array:
        loss = _loss(family, z, x, sizes[-1], losses[-1], ceiling)
        variance = errors**2 + (_misfit(z) * loss) ** 2
        return np.asarray(_log_normal(z) - 0.5 * ((losses - loss) ** 2 / variance + np.log(variance)).sum(1))

    z = rng.standard_normal((_DRAWS, 5))
    log_proposal = _log_normal(z)
    log_weights = log_posterior(z) - log_proposal
    for _ in range(_ROUNDS):
        weights = _tempered(log_weights)
        centre = weights @ z
        spread = np.cov(z.T, aweights=weights) * 1.5 + 1e-4 * np.eye(5)
        root = np.linalg.cholesky(spread)
        # A fifth comes from the prior, so that no weight is out of bounds.
        is_wide = rng.random(_DRAWS) < 0.2
        normal = rng.standard_normal((_DRAWS, 5))
        z = np.where(is_wide[:, None], normal, centre + normal @ root.T)
        inside = np.linalg.solve(root, (z - centre).T).T
        log_near = _log_normal(inside) - np.log(np.diag(root)).sum()
        log_proposal = np.logaddexp(math.log(0.2) + _log_normal(z), math.log(0.8) + log_near)
        log_weights = log_posterior(z) - log_proposal
    most = float(log_weights.max())
    weights = np.exp(log_weights - most)
    chosen = rng.choice(_DRAWS, size=_KEPT, p=weights / weights.sum())
    return z[chosen], most + math.log(float(weights.mean()))


def _log_normal(z: Array) -> Array:
    """Logarithm of the standard normal density, up to its constant."""
    return np.asarray(-0.5 * (z**2).sum(1))


def _tempered(log_weights: Array) -> Array:
    """Weights that sum to 1, flattened until a hundredth of the draws counts."""
    power = 1.0
    while True:
        weights = np.exp(power * (log_weights - log_weights.max()))
        weights /= weights.sum()
        if 1 / (weights**2).sum() > _DRAWS / 100 or power < 1e-3:
            return np.asarray(weights)
        power /= 1.5
