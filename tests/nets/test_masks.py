"""Dropout masks: one definition, bit for bit, and independent wherever the key differs."""

import numpy as np
import pytest
import torch

from assay.nets.dropout import _kept, dropout
from assay.nets.masks import keep_mask
from assay.seeds import Streams

KEYS = [0, 1, 2**32 - 1, 2**32, 2**64 - 1, Streams(7).key("dropout", 0, 0)]
RATES = [0.1, 0.5, 0.987]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("key", KEYS)
def test_every_kernel_drops_what_the_definition_drops(key, rate, dtype):
    ones = torch.ones(37, 271, dtype=dtype)
    reference = keep_mask(key, ones.numel(), rate).reshape(ones.shape)
    dropped = dropout(ones, key, rate)
    assert dropped.dtype == dtype
    assert np.array_equal(dropped.float().numpy() != 0, reference)
    assert np.array_equal(_kept(ones, key, rate).numpy(), reference)
    torch.testing.assert_close(dropped[dropped != 0], (ones / (1 - rate))[dropped != 0])


def test_the_definition_itself_stays():
    # A silent change would change every finished run with dropout.
    assert np.packbits(keep_mask(0x0123456789ABCDEF, 64, 0.5)).tobytes().hex() == "522d9f99c2f4c961"


@pytest.mark.parametrize("rate", RATES)
def test_the_share_kept_is_one_minus_the_rate(rate):
    count = 1_000_000
    shares = [keep_mask(key, count, rate).mean() for key in KEYS]
    # Four standard errors of a share of a million draws.
    assert np.abs(np.subtract(shares, 1 - rate)).max() < 4 * np.sqrt(rate * (1 - rate) / count)


def test_masks_of_different_steps_layers_and_seeds_are_uncorrelated():
    count = 200_000
    keys = [Streams(seed).key("dropout", layer, step) for seed in (0, 1) for layer in (0, 1) for step in (0, 1, 2)]
    keys += [0, 1, 2, 2**32, 2**33, 2**32 + 1]  # keys that differ by one bit of either half
    masks = np.array([keep_mask(key, count, 0.5) for key in keys]) * 2.0 - 1
    correlations = masks @ masks.T / count
    pairs = correlations[np.triu_indices(len(keys), 1)]
    # 153 pairs of standard error 1 / sqrt(count): the largest stays below 4.5 of them but once in a thousand times.
    assert np.abs(pairs).max() < 4.5 / np.sqrt(count)
    assert len({mask.tobytes() for mask in masks}) == len(keys)


def test_neighbours_in_a_mask_are_uncorrelated():
    count = 1_000_000
    mask = keep_mask(KEYS[-1], count, 0.5) * 2.0 - 1
    lags = [1, 2, 3, 4, 8, 13, 16, 32, 64, 169, 1024, 5408, 65536]
    correlations = [np.mean(mask[lag:] * mask[:-lag]) for lag in lags]
    assert np.abs(correlations).max() < 4 / np.sqrt(count - max(lags))


def test_the_high_half_of_a_key_is_no_shift_of_the_index():
    count = 4096
    first = keep_mask(5, count, 0.5) * 2.0 - 1
    second = keep_mask(5 + (1 << 32), count, 0.5) * 2.0 - 1
    spectrum = np.fft.fft(first) * np.conj(np.fft.fft(second))
    # Correlations at all circular shifts; each has a standard error of 1 / sqrt(count).
    assert np.abs(np.fft.ifft(spectrum).real / count).max() < 5.5 / np.sqrt(count)


def test_backward_scales_gradients_by_the_same_mask():
    values = torch.randn(5, 3, 7, 4, requires_grad=True)
    dropped = dropout(values, 99, 0.4)
    dropped.sum().backward()
    mask = torch.from_numpy(keep_mask(99, values.numel(), 0.4).reshape(5, 7, 4, 3)).permute(0, 3, 1, 2) / 0.6
    torch.testing.assert_close(values.grad, mask.float())
    torch.testing.assert_close(dropped, values * mask)


def test_gradients_against_finite_differences():
    values = torch.randn(2, 3, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: dropout(v, 12, 0.3), values)
    assert torch.autograd.gradgradcheck(lambda v: dropout(v * v, 12, 0.3), values)


def test_a_mask_does_not_depend_on_memory_layout():
    values = torch.randn(4, 6, 5, 3)
    layouts = [
        values.contiguous(),
        values.contiguous(memory_format=torch.channels_last),
        values.transpose(2, 3).contiguous().transpose(2, 3),
        torch.stack([values, values], dim=-1)[..., 0],
    ]
    expected, *others = [dropout(layout, 3, 0.5) for layout in layouts]
    assert expected.is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(other, expected) for other in others)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(40, 33), (4, 6, 5, 3)])
def test_values_without_gradients_are_the_same_bits(shape: tuple[int, ...], dtype: torch.dtype):
    values = torch.randn(shape).to(dtype)
    with torch.no_grad():
        measured = dropout(values, 3, 0.3)
    assert measured.dtype == dtype
    assert torch.equal(measured, dropout(values, 3, 0.3))


def test_rate_zero_changes_nothing():
    values = torch.randn(4, 6)
    assert dropout(values, 3, 0.0) is values
    assert keep_mask(3, 1000, 0.0).all()


def test_a_dropped_value_is_zero_even_where_it_was_not_a_number():
    dropped = dropout(torch.full((1000,), torch.nan).reshape(10, 100), 3, 0.5)
    assert set(torch.unique(dropped.nan_to_num(7.0)).tolist()) == {0.0, 7.0}
