"""Kernels and activations in whole numbers: exact in few bits, near the best scale, straight-through gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from assay.nets.fixed_point import CODINGS, LEAST_ELU, LayerRoundings, Rounding, Roundings
from assay.nets.quantizer import CUT, FIRST, LayerRounds, Round, Scales, exponents, kernel_codes, quantized

KERNEL = torch.randn(6, 3, 3, 3, generator=torch.Generator().manual_seed(1)) * 0.2


@pytest.mark.parametrize("powers_of_two", [False, True])
@pytest.mark.parametrize("coding", CODINGS.values(), ids=list(CODINGS))
def test_codes_exist_and_what_they_stand_for_is_exact_in_bfloat16(coding, powers_of_two):
    codes, scales = kernel_codes(KERNEL, coding, powers_of_two=powers_of_two)
    assert coding.unpack(coding.pack(codes.numpy().astype(np.int8)), codes.numel()).tolist() == codes.flatten().tolist()
    used = codes * scales.reshape(-1, 1, 1, 1)
    assert torch.equal(used.bfloat16().double(), used)
    if powers_of_two or coding.name == "int8":
        assert set(np.frexp(scales.numpy())[0]) == {0.5}


@pytest.mark.parametrize("coding", CODINGS.values(), ids=list(CODINGS))
def test_the_scale_of_a_channel_is_near_the_best(coding):
    """No scale of 2,000 has half the squared error of the one that is chosen."""
    codes, scales = kernel_codes(KERNEL, coding)
    flat, used = KERNEL.reshape(6, -1).double(), (codes * scales.reshape(-1, 1, 1, 1)).reshape(6, -1)
    error = ((flat - used) ** 2).sum(1)
    best = torch.full((6,), np.inf).double()
    for scale in np.geomspace(1e-4, 1, 2000):
        low = 1 if coding.largest < -coding.first else 0
        places = torch.floor((flat / scale - coding.first) / coding.step + 0.5).clamp(low, coding.base - 1)
        best = torch.minimum(best, ((flat - (places * coding.step + coding.first) * scale) ** 2).sum(1))
    # Whole bytes have a power of two that cuts nothing, up to twice the best scale.
    assert (error <= best * (6 if coding.name == "int8" else 2)).all()


@pytest.mark.parametrize("coding", CODINGS.values(), ids=list(CODINGS))
def test_codes_do_not_change_with_the_size_of_a_channel(coding):
    """What lets batch normalization be folded behind training: its factor changes a channel's scale alone."""
    codes, scales = kernel_codes(KERNEL, coding)
    larger, doubled = kernel_codes(KERNEL * 8, coding)
    assert torch.equal(codes, larger)
    assert torch.equal(scales * 8, doubled)


@pytest.mark.parametrize("coding", CODINGS.values(), ids=list(CODINGS))
def test_a_channel_of_zeros_stays_next_to_zero(coding):
    codes, scales = kernel_codes(torch.zeros(2, 9), coding)
    assert (codes * scales[:, None]).abs().max() < 1e-9


def test_gradients_of_weights_pass_unchanged():
    kernel = KERNEL.clone().requires_grad_()
    weights = torch.randn(KERNEL.shape, generator=torch.Generator().manual_seed(2))
    (quantized(kernel, CODINGS["int2"]) * weights).sum().backward()
    assert torch.equal(kernel.grad, weights)


def scales_of(*roundings: Rounding, elus: frozenset[int] = frozenset(), bits: int = 8) -> Scales:
    return Scales(Roundings({}, 1 + max(one.scale for one in roundings), elus, bits))


def test_activations_round_halves_up_and_pass_gradients_where_nothing_is_cut():
    rounding = Rounding(0, 0, 255)
    scales = scales_of(rounding).eval()
    scales.ranges[:] = 0.25
    values = torch.tensor([0.0, 0.1249, 0.125, 0.375, 63.8, 63.9, 100.0], requires_grad=True)
    used = Round(rounding, scales)(values)
    used.backward(torch.arange(1.0, 8.0))
    assert used.tolist() == [0.0, 0.0, 0.25, 0.5, 63.75, 63.75, 63.75]
    assert values.grad.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 0.0]


def test_scales_follow_what_values_reach():
    rounding = Rounding(0, -128, 127)
    scales = scales_of(rounding).train()
    assert float(scales.powers()) == 2.0 ** np.ceil(np.log2(FIRST / 127))
    round_ = Round(rounding, scales)
    round_(torch.tensor([-12.7, 3.0]))
    scales.learn()
    assert float(scales.ranges) == pytest.approx(0.1)
    assert float(scales.powers()) == 0.125
    round_(torch.tensor([1.0, 25.4]))
    scales.learn()
    assert float(scales.ranges) == pytest.approx(0.95 * 0.1 + 0.05 * 0.2)
    scales.eval()
    round_(torch.tensor([1000.0]))
    assert not scales._seen


@pytest.mark.parametrize("bits", [8, 4])
def test_numpy_and_torch_choose_the_same_powers(bits):
    roundings = Roundings({}, 40, frozenset({3, 5}), bits)
    scales = Scales(roundings)
    ranges = np.float32(2.0) ** np.linspace(-9, 9, 40).astype(np.float32)
    ranges[7:10] = 0.25, 0.0, np.nextafter(np.float32(0.25), np.float32(1))
    scales.ranges[:] = torch.from_numpy(ranges)
    chosen = exponents(ranges, roundings)
    assert scales.powers().tolist() == np.ldexp(1.0, chosen).tolist()
    assert (chosen[7], chosen[9]) == (-2 - CUT[bits], -1 - CUT[bits])
    assert min(chosen[3], chosen[5]) >= LEAST_ELU


def test_rounded_elu_is_what_a_table_says():
    """With scales a factor of four apart: the entry of the finer table, rounded to the coarser scale."""
    fine, coarse = Rounding(0, -128, 127), Rounding(1, -128, 127)
    scales = scales_of(fine, coarse, elus=frozenset({0, 1})).eval()
    scales.ranges[:] = torch.tensor([1 / 32, 1 / 8])
    rounds = LayerRounds(LayerRoundings(before=coarse), scales)
    whole = np.arange(-128, 128)
    table = np.rint(-np.expm1(-np.arange(256) / 32) * 32).astype(int)
    expected = [value if value >= 0 else -((table[min(-value * 4, 255)] + 2) >> 2) for value in whole]
    given = rounds.activated(torch.from_numpy(whole / 8), "elu")
    assert (given * 8).tolist() == expected
