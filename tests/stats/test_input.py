"""Every public function on scores answers bad input with an error or the right value, never with a wrong number."""

from __future__ import annotations

import inspect
import math
import warnings

import numpy as np
import pytest

import assay.stats
from assay import stats
from assay.errors import TooFewSeeds
from assay.stats import Curves

NAN, INF = math.nan, math.inf
SENTENCE = r"give |report it"
CURVES = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
ROW = [0.1, 0.3, 0.2, 0.5, 0.4, 0.35, 0.6]
TABLE = [ROW, [value + 0.1 for value in ROW]]
SHARES = [1.0, 0.0, 1.0, 1.0]

# Functions of one row of scores, and what else they are called with.
OF_A_ROW = {
    "mean_interval": {},
    "prediction_interval": {},
    "bootstrap_interval": {},
    "equivalence": {"margin": 0.1},
    "sign_flip_p": {},
    "superiority": {},
}
OF_TWO_ROWS = ("paired_difference", "mcnemar", "image_bootstrap")
OF_A_TABLE = {
    "corrected_resampled_difference": {},
    "corrected_equivalence": {"margin": 0.1},
    "rank_arms": {},
}
BAD_ROWS = {
    "NaN": [0.1, NAN, 0.2],
    "infinite": [0.1, -INF, 0.2],
    "huge": [0.1, 1e308, -1e308],
    "two rows": [[0.1, 0.2], [0.3, 0.4]],
    "a number": 0.5,
    "texts": ["0.1", "0.2"],
    "complex": [0.1 + 1j, 0.2],
    "ragged": [[0.1], [0.2, 0.3]],
}


def call(name, *args, **options):
    return getattr(stats, name)(*args, **options)


@pytest.mark.parametrize("kind", BAD_ROWS)
@pytest.mark.parametrize("name", OF_A_ROW)
def test_a_row_that_is_none(name, kind):
    with pytest.raises(ValueError, match=SENTENCE):
        call(name, BAD_ROWS[kind], **OF_A_ROW[name])


@pytest.mark.parametrize("kind", BAD_ROWS)
@pytest.mark.parametrize("name", OF_TWO_ROWS)
def test_two_rows_one_of_which_is_none(name, kind):
    good = [1, 0, 1] if name != "paired_difference" else [0.1, 0.2, 0.3]
    for rows in ((BAD_ROWS[kind], good), (good, BAD_ROWS[kind]), (BAD_ROWS[kind], BAD_ROWS[kind])):
        with pytest.raises(ValueError, match=SENTENCE):
            call(name, *rows)


@pytest.mark.parametrize("name", [*OF_A_TABLE, "effect_values"])
@pytest.mark.parametrize(
    "table",
    [[[0.1, NAN]], [[0.1, INF]], [[1e308, -1e308]], [0.1, 0.2], [[[0.1, 0.2]]], [["a", "b"]], [[0.1], [0.2, 0.3]]],
)
def test_a_table_that_is_none(name, table):
    args, options = ((table, [-1.0, 1.0]), {}) if name == "effect_values" else ((table,), OF_A_TABLE[name])
    with pytest.raises(ValueError, match="give"):
        call(name, *args, **options)


@pytest.mark.parametrize("name", ["mean_interval", "prediction_interval", "bootstrap_interval", "equivalence"])
@pytest.mark.parametrize("row", [[], [0.5]])
def test_too_few_scores(name, row):
    with pytest.raises(TooFewSeeds):
        call(name, row, **OF_A_ROW[name])


def test_nothing_at_all():
    with pytest.raises(TooFewSeeds):
        stats.paired_difference([], [])
    with pytest.raises(TooFewSeeds):
        stats.corrected_resampled_difference(np.zeros((0, 3)))
    for empty in (lambda: stats.superiority([]), lambda: stats.mcnemar([], []), lambda: stats.image_bootstrap([], []),
                  lambda: stats.rank_arms(np.zeros((0, 3))), lambda: stats.mean_bands(np.zeros((0, 3))),
                  lambda: stats.share_interval(0, 0)):  # fmt: skip
        with pytest.raises(ValueError, match="give"):
            empty()
    assert stats.sign_flip_p([]) == 1.0
    assert stats.holm([]).tolist() == []


@pytest.mark.parametrize("wrong", [0.0, 1.0, -0.1, 95, NAN, INF, True])
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("mean_interval", (ROW,)), ("prediction_interval", (ROW,)), ("bootstrap_interval", (ROW,)),
        ("mean_bands", (TABLE,)), ("share_interval", (3, 5)), ("superiority", (ROW,)),
        ("paired_difference", (ROW, ROW)),
        ("corrected_resampled_difference", (TABLE,)), ("image_bootstrap", (SHARES, SHARES)),
    ],
)  # fmt: skip
def test_a_confidence_that_is_none(name, args, wrong):
    with pytest.raises(ValueError, match="confidence is"):
        call(name, *args, confidence=wrong)


@pytest.mark.parametrize("wrong", [0.0, 1.0, -0.1, 5, NAN, INF, True])
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("equivalence", (ROW, 0.1)), ("corrected_equivalence", (TABLE, 0.1)), ("rank_arms", (TABLE,)),
        ("nemenyi_difference", (3, 8)), ("power_of", (0.5, 10)), ("smallest_difference", (1.0, 10)),
        ("pairs_for_difference", (0.5, 1.0)), ("pairs_for_equivalence", (0.0, 1.0, 0.5)),
    ],
)  # fmt: skip
def test_a_level_that_is_none(name, args, wrong):
    with pytest.raises(ValueError, match="alpha is"):
        call(name, *args, alpha=wrong)


def test_an_equivalence_at_half_or_more_is_no_test():
    with pytest.raises(ValueError, match="alpha is"):
        stats.equivalence(ROW, 0.1, alpha=0.5)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("power_of", (NAN, 10)),
        ("power_of", (0.5, 10.5)),
        ("power_of", (0.5, NAN)),
        ("power_of", (0.5, INF)),
        ("power_of", (0.5, -1)),
        ("power_of", (0.5, True)),
        ("smallest_difference", (NAN, 10)),
        ("smallest_difference", (INF, 10)),
        ("smallest_difference", (-1.0, 10)),
        ("smallest_difference", (1.0, 2.5)),
        ("smallest_difference", (1.0, -2)),
        ("pairs_for_difference", (NAN, 1)),
        ("pairs_for_difference", (INF, 1)),
        ("pairs_for_difference", (1, NAN)),
        ("pairs_for_difference", (1, -1)),
        ("pairs_for_difference", (1e308, 1)),
        ("pairs_for_equivalence", (NAN, 1, 1)),
        ("pairs_for_equivalence", (0, NAN, 1)),
        ("pairs_for_equivalence", (0, -1, 1)),
        ("pairs_for_equivalence", (0, 1, NAN)),
        ("pairs_for_equivalence", (0, 1, 0)),
        ("pairs_for_equivalence", (0, 1, -1)),
        ("pairs_for_equivalence", (0, 1, INF)),
        ("nemenyi_difference", (1, 5)),
        ("nemenyi_difference", (3, 0)),
        ("nemenyi_difference", (3.5, 5)),
        ("share_interval", (NAN, 10)),
        ("share_interval", (1, NAN)),
        ("share_interval", (1, INF)),
        ("share_interval", (INF, INF)),
        ("holm", ([0.1, NAN],)),
        ("holm", ([0.1, -0.1],)),
        ("holm", ([0.1, 1.1],)),
        ("holm", ([[0.1, 0.2]],)),
        ("holm", (0.1,)),
        ("holm", (["0.1"],)),
        *(("benjamini_yekutieli", (wrong,)) for wrong in ([0.1, NAN], [0.1, -0.1], [[0.1, 0.2]], 0.1, ["0.1"])),
        ("mean_bands", (ROW,)),
        ("mean_bands", (0.5,)),
        ("sign_flip_ps", ([ROW, [NAN, 0.1]],)),
        ("mcnemar", ([0.3, 1], [0, 1])),
        ("mcnemar", ([1, 0], [2, 1])),
        ("mcnemar", ([1, 0], [-1, 1])),
        ("image_bootstrap", ([0.3, 1.1], [0, 1])),
        ("effect_values", (TABLE, [1.0, -1.0])),
        ("effect_values", ([[0.1, 0.2]], [NAN, 1.0])),
        ("effect_values", (ROW, [1.0] * len(ROW))),
    ],
)
def test_a_number_that_is_none(name, args):
    with pytest.raises(ValueError, match=SENTENCE):
        call(name, *args)


@pytest.mark.parametrize("margin", [0, -0.1, NAN, INF, True])
def test_a_margin_that_is_none(margin):
    for name, values in (("equivalence", ROW), ("equivalence", [0.1] * 6), ("corrected_equivalence", TABLE)):
        with pytest.raises(ValueError, match="margin is"):
            call(name, values, margin)


@pytest.mark.parametrize("option", [{"draws": 0}, {"draws": 1.5}, {"seed": -1}, {"seed": NAN}])
def test_draws_and_seeds_are_whole_numbers(option):
    with pytest.raises(ValueError, match="give a whole number"):
        stats.sign_flip_p(ROW, **option)
    with pytest.raises(ValueError, match="give a whole number"):
        stats.image_bootstrap(SHARES, SHARES, **option)


@pytest.mark.parametrize("p_value", [NAN, -0.1, 1.5])
def test_a_p_that_was_computed_before_is_one(p_value):
    with pytest.raises(ValueError, match="p_value is"):
        stats.paired_difference(ROW, ROW, p_value=p_value)


def test_a_ratio_of_test_to_training_images_is_no_less_than_zero():
    for ratio in (-0.1, NAN, INF):
        with pytest.raises(ValueError, match="test_to_train is"):
            stats.corrected_resampled_difference(TABLE, test_to_train=ratio)


def test_large_scores_that_can_be_squared_have_the_interval_of_their_unit():
    unit = 2.0**300
    large, small = stats.mean_interval([value * unit for value in ROW]), stats.mean_interval(ROW)
    assert (large.mean, large.low, large.high) == (small.mean * unit, small.low * unit, small.high * unit)


def test_right_and_wrong_may_be_booleans_or_numbers():
    right, other = [True, False, True, True], [False, False, True, True]
    for kind in (bool, int, float):
        rows = [np.array(row, dtype=kind) for row in (right, other)]
        assert stats.mcnemar(*rows) == stats.mcnemar(right, other)
        assert stats.image_bootstrap(*rows) == stats.image_bootstrap(right, other)


def test_an_effect_without_end_is_found_for_certain():
    assert stats.power_of(INF, 3) == 1.0
    assert stats.power_of(INF, 1) == 0.0


def test_a_band_has_no_ends_where_a_curve_is_no_number():
    bands = stats.mean_bands([[0.1, NAN, INF, -INF, 1e308, 0.2], [0.2, 0.1, INF, INF, 1e308, 0.4]])
    for row in bands:
        assert np.isnan(row).tolist() == [False, True, True, True, True, False]


def test_a_bootstrap_without_a_distribution_is_none():
    assert stats.bootstrap_interval([0.1, 0.1 + 1e-17, 0.1]) is None
    eps = np.spacing(0.1)
    stats.bootstrap_interval([0.1, 0.1 + eps, 0.1 + 2 * eps])  # no warning


@pytest.mark.parametrize(
    "wrong",
    [{"num_classes": 0}, {"num_classes": NAN}, {"train_loss": [[0.1]]}, {"train_loss": 0.1}, {"train_loss": ["a"]}],
)
def test_curves_that_are_none(wrong):
    rows = dict.fromkeys(CURVES, (0.1,))
    with pytest.raises(ValueError, match="give"):
        Curves(**{**rows, "num_classes": 10, **wrong})


@pytest.mark.parametrize("wrong", [[1.0, NAN], [[1.0, 2.0]], ["a"]])
def test_ranks_that_are_none(wrong):
    with pytest.raises(ValueError, match=r"give|finite"):
        stats.groups_of(wrong, [])


def test_curves_of_a_run_that_diverged_may_hold_anything():
    rows = dict.fromkeys(CURVES, (0.1, NAN, INF))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert stats.diagnose(Curves(**rows, num_classes=10, state="diverged"))[0].kind == "diverged"


def test_every_function_on_numbers_is_tried_here():
    modules = ("equivalence", "factorial", "folds", "images", "intervals", "many", "paired", "power", "ranks")
    text = inspect.getsource(inspect.getmodule(call))
    for name, value in vars(assay.stats).items():
        if inspect.isfunction(value) and value.__module__.removeprefix("assay.stats.") in modules:
            if name in ("factors_of", "effects", "count_pairs"):  # names of levels and words, no numbers
                continue
            assert f'"{name}"' in text or f"stats.{name}(" in text, name
