"""Which labels are wrong, by the probabilities of networks that have not learned from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, Problem

NAMED = 0.5  # doubt above which a label is named
_ROUNDS, _TOLERANCE = 200, 1e-6
_SHARPEST, _BLUNTEST = 10.0, 0.1
_SMALLEST = 1e-7  # probability that is told apart from 0


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class LabelErrors:
    """What is thought of each label.

    Args:
        doubt: The probability that it is wrong [n].
        likely: The class that the image most probably shows [n].
        rate: The share of labels that is wrong, estimated.
        sharpness: The exponent of the networks' probabilities with which they fit best: below 1 they were too sure.
        mislabelled: Of images of each class (rows), the share that has each label (columns) [classes, classes].
    """

    doubt: NDArray[np.float64]
    likely: NDArray[np.int64]
    rate: float
    sharpness: float
    mislabelled: NDArray[np.float64]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Which labels are more probably wrong than right [n]."""
        return np.asarray(self.doubt > NAMED)


def label_errors(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> LabelErrors:
    """How probable it is of each label that it is wrong.

    The true class of an image is taken to be drawn from its probabilities p as p^b, scaled to sum to 1; and its label
    from the true class: the class itself, or with some chance another. The exponent b, which makes up for networks that
    are too sure or not sure enough, and these chances, for each pair of classes, are those with which the given labels
    are most probable (expectation-maximization; Newton's steps for b). As many images as a class has on average speak
    for chances that are the same for all pairs, since classes that a network mixes up would else pass for labels that
    are mixed up. A doubt is then the posterior probability that the true class is another than the label: that the
    network is unsure of an image makes no label doubtful, that it is surer than it ever is wrong does.

    Args:
        probabilities: Of each class, by networks that have not learned from the image [n, classes].
        labels: As given, indices of classes [n].

    Raises:
        DataError: There is one class only, a label is no class, or shapes differ.

    Source: Dawid and Skene (1979), "Maximum likelihood estimation of observer error-rates using the EM algorithm",
    Applied Statistics 28, with a network in place of the other observers; Northcutt, Jiang and Chuang (2021),
    "Confident learning", JAIR 70, for held-out probabilities and chances by pairs of classes.
    """
    n, k = probabilities.shape
    if k < 2 or labels.shape != (n,) or (n and (int(labels.min()) < 0 or int(labels.max()) >= k)):
        what = f"got probabilities {list(probabilities.shape)} and {len(labels)} labels"
        raise DataError(Problem(what, "give a row for each label, and a column for each of two classes or more"))
    if not n:
        return LabelErrors(np.zeros(0), np.zeros(0, np.int64), 0.0, 1.0, np.eye(k))
    logs = np.log(np.clip(probabilities.astype(np.float64), _SMALLEST, 1.0))
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    sharpness, mislabelled = 1.0, _evenly(0.05, k)
    for _ in range(_ROUNDS):
        drawn = _drawn(logs, sharpness)
        posterior = _posterior(drawn, mislabelled, labels)
        counts = np.zeros((k, k))
        counts[:, present] = np.add.reduceat(posterior[order], starts, axis=0).T
        rate = 1 - float(np.trace(counts)) / n
        before = mislabelled
        mislabelled = counts + n / k * _evenly(rate, k)
        mislabelled /= mislabelled.sum(1, keepdims=True)
        means = (drawn * logs).sum(1)
        slope = float((posterior * logs).sum() - means.sum())
        curvature = float((drawn * np.square(logs)).sum() - np.square(means).sum())
        step = slope / curvature if curvature > 0 else 0.0
        sharpness = float(np.clip(sharpness + np.clip(step, -0.5, 0.5), _BLUNTEST, _SHARPEST))
        if abs(step) < _TOLERANCE * sharpness and np.abs(mislabelled - before).max() < _TOLERANCE:
            break
    posterior = _posterior(_drawn(logs, sharpness), mislabelled, labels)
    doubt = 1 - posterior[np.arange(n), labels]
    others = posterior.copy()
    others[np.arange(n), labels] = np.where(doubt > NAMED, -1, others[np.arange(n), labels])
    return LabelErrors(doubt, others.argmax(1), float(doubt.mean()), sharpness, mislabelled)


def _evenly(rate: float, k: int) -> NDArray[np.float64]:
    """Chances of labels where this share is wrong, whatever the classes [classes, classes]."""
    chances = np.full((k, k), rate / (k - 1))
    np.fill_diagonal(chances, 1 - rate)
    return chances


def _drawn(logs: NDArray[np.float64], sharpness: float) -> NDArray[np.float64]:
    """From which the true class is drawn [n, classes]."""
    values = sharpness * logs
    values = np.exp(values - values.max(1, keepdims=True))
    return np.asarray(values / values.sum(1, keepdims=True))


def _posterior(
    drawn: NDArray[np.float64], mislabelled: NDArray[np.float64], labels: NDArray[np.integer]
) -> NDArray[np.float64]:
    """The true class's, given the label [n, classes]."""
    joint = drawn * mislabelled[:, labels].T
    return np.asarray(joint / np.maximum(joint.sum(1, keepdims=True), 1e-300))
