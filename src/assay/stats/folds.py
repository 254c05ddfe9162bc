"""Compares two arms on k-fold cross-validation, whose folds are not independent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import Problem, TooFewSeeds
from .checks import are_finite, check_number, check_share, numbers
from .equivalence import Equivalence, do_not_vary, equivalence_of, equivalence_of_equals
from .paired import PairedDifference

SOURCE = (
    'Nadeau and Bengio (2003), "Inference for the generalization error", Machine Learning 52; '
    'Bouckaert and Frank (2004), "Evaluating the replicability of significance tests", PAKDD'
)


def corrected_resampled_difference(
    differences: npt.ArrayLike, *, test_to_train: float | None = None, confidence: float = 0.95
) -> PairedDifference:
    """Mean difference over seeds and folds with the corrected resampled t test and interval.

    Two folds share most of their training images, so their scores move together and the variance of their mean is
    larger than s² / J: Nadeau and Bengio put (1/J + n_test/n_train) s² in its place, J the number of folds over all
    seeds. Treating folds as independent calls differences far too often. Folds that are all equal have no variance to
    correct: their p is that of flipping the signs of whole seeds.

    Args:
        differences: b minus a [seeds, folds], each from arms trained and scored on the same images.
        test_to_train: Images scored over images trained on; 1 / (folds - 1) unless given, as in k-fold.
        confidence: Long-run share of such intervals that hold the true mean difference, in (0, 1).

    Raises:
        TooFewSeeds: Fewer than two values.
        ValueError: The array is not [seeds, folds], a value is not finite, the ratio is below 0, or with one fold none
            is given.

    Source: Nadeau and Bengio (2003); for several repetitions, Bouckaert and Frank (2004).
    """
    values, error = _corrected_error(differences, test_to_train)
    check_share(confidence, "confidence")
    from scipy.special import stdtr, stdtrit

    mean, freedom = float(values.mean()), values.size - 1
    reach = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    if do_not_vary(values):
        p_value = 1.0 if mean == 0 else 2.0 * 0.5 ** len(values)
    else:
        p_value = 2 * float(stdtr(freedom, -abs(mean) / error))
    return PairedDifference(mean, mean - reach, mean + reach, values.size, confidence, p_value, SOURCE)


def corrected_equivalence(
    differences: npt.ArrayLike, margin: float, *, test_to_train: float | None = None, alpha: float = 0.05
) -> Equivalence:
    """Two one-sided tests against a margin, with the corrected variance.

    Args:
        differences: b minus a [seeds, folds].
        margin: Above 0, in the unit of the differences.
        test_to_train: See ``corrected_resampled_difference``.
        alpha: Of each one-sided test.

    Raises:
        TooFewSeeds: Fewer than two values.
        ValueError: As for ``corrected_resampled_difference``, the margin is not above 0, or alpha is outside (0, 0.5).
    """
    values, error = _corrected_error(differences, test_to_train)
    if do_not_vary(values, margin):
        return equivalence_of_equals(float(values.mean()), len(values), values.size, margin, alpha=alpha)
    return equivalence_of(float(values.mean()), error, values.size, margin, alpha=alpha, source=SOURCE)


def _corrected_error(differences: npt.ArrayLike, test_to_train: float | None) -> tuple[npt.NDArray[np.float64], float]:
    values = numbers(differences)
    if values.ndim != 2 or not are_finite(values):
        raise ValueError(f"got shape {values.shape}; give finite differences as rows of seeds and columns of folds")
    if values.size < 2:
        raise TooFewSeeds(Problem(f"got {values.size} folds in all, a difference needs 2", "run more folds"))
    if test_to_train is None:
        if values.shape[1] < 2:
            raise ValueError("one fold says nothing of the split; give test_to_train, images scored over trained on")
        test_to_train = 1 / (values.shape[1] - 1)
    check_number(test_to_train, "test_to_train", least=0)
    return values, float(values.std(ddof=1)) * (1 / values.size + test_to_train) ** 0.5
