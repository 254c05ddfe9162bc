"""Networks that were trained in whole numbers: their program has the codes and scales of training, and its answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from assay.errors import SpecError
from assay.export import Portable, write_c
from assay.export.fixed_point import Program, quantize
from assay.export.fixed_point.arithmetic import FRACTION, LEAST_SHIFT
from assay.export.fixed_point.program import Kernel, compute
from assay.nets import parse, summarize
from assay.nets.build import Network
from assay.nets.fixed_point import Convolve, costs_of, lower
from assay.nets.quantizer import kernel_codes
from assay.seeds import Streams
from assay.spec import Quantization
from assay.train.predictor import Predictor
from assay.train.scaling import Scaling

from ..contracts.test_export import CLASSES
from .fixed_networks import BLOCKS, RECORD, pictures

NORMED = [
    *["conv 6 3x3 bias=false", "batchnorm", "relu", "maxpool 2", "separable 8 3x3 padding=same bias=false"],
    *["batchnorm", "relu6", "avgpool 2", "batchnorm", "flatten", "dense classes softmax"],
]

CASES: dict[str, tuple[list[Any], tuple[int, int, int], dict[str, Any]]] = {
    "record": (RECORD, (14, 14, 1), {"weights": 4, "layers": {"conv1": 8, "dense1": 2}}),
    "normed": (NORMED, (11, 12, 3), {"weights": 2}),
    "blocks": (BLOCKS, (9, 8, 2), {"weights": 8}),
    "ternary": (NORMED, (11, 12, 3), {"weights": "ternary", "activations": 4}),
}
SLOW = ["record", *(pytest.param(name, marks=pytest.mark.slow) for name in CASES if name != "record")]
PLAIN = ["conv 4 3x3 relu", "maxpool 2", "conv 6 3x3", "elu", "avgpool 2", "flatten", "dense classes softmax"]


def settled(
    words: list[Any], shape: tuple[int, int, int], settings: dict[str, Any], *, factor: float = 1 / 255
) -> tuple[Portable, Predictor]:
    """A network whose moving statistics and scales have followed some batches; gammas have both signs."""
    summary = replace(summarize(parse(words), shape, 10), quantization=Quantization(**settings))
    network, scaling = Network(summary, Streams(3)), Scaling(torch.zeros(shape[2]), torch.full((shape[2],), factor))
    images, generator = pictures(200, shape), torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if name.endswith(("gamma", "beta", "bias")):
                values.copy_(torch.randn(values.shape, generator=generator) * (1 if name.endswith("gamma") else 0.3))
        network.train()
        for _ in range(60):
            network(scaling.apply(images, np.random.default_rng(1).integers(0, 200, 32)))
    predictor = Predictor(network.eval(), scaling)
    return Portable.of(predictor, words, CLASSES), predictor


def values_of(program: Program, images: np.ndarray) -> dict[int, np.ndarray]:
    """All values of a program, by number."""
    values = {0: images.reshape(len(images), -1).astype(np.int64)}
    for operation, constants in zip(program.graph.operations, program.constants, strict=True):
        sources = [values[source] for source in operation.sources]
        limits = program.graph.values[operation.target].limits
        shaped = sources[0].reshape(len(images), *operation.inputs)
        out = compute(operation, constants, shaped, sources, program.graph, limits)
        values[operation.target] = out.reshape(len(images), -1)
    return values


def outputs_of(network: Network, pixels: torch.Tensor) -> dict[str, np.ndarray]:
    """Every layer's output as the program lays it out, rounding included."""
    outputs: dict[str, torch.Tensor] = {"": pixels}
    with torch.no_grad():
        for row in network.summary.layers:
            value = network.get_submodule(row.name)(*(outputs[name] for name in row.inputs))
            rounds = network._rounds.get(row.name)
            outputs[row.name] = value if rounds is None or rounds.after is None else rounds.after(value)
    return {
        name: (value.permute(0, 2, 3, 1) if value.dim() == 4 else value).reshape(len(value), -1).double().numpy()
        for name, value in outputs.items()
    }


@pytest.mark.parametrize("name", CASES)
def test_a_program_has_the_codes_and_scales_of_training(name: str) -> None:
    words, shape, settings = CASES[name]
    network, _ = settled(words, shape, settings)
    program = quantize(network, pictures(50, shape))
    checked = 0
    for operation, constants in zip(program.graph.operations, program.constants, strict=True):
        if not isinstance(operation, Convolve) or not operation.weights:
            continue
        assert isinstance(constants, Kernel)
        kernel = torch.from_numpy(network.of_layer(operation.layer)[operation.weights])
        codes, scales = kernel_codes(kernel, operation.coding)
        factor = np.ones(len(kernel))
        for norm in operation.norms:
            about = network.of_layer(norm)
            factor = factor * about["gamma"] / np.sqrt(about["moving_variance"] + 1e-3)
        plain = codes.numpy().transpose(0, 2, 3, 1) if codes.dim() == 4 else codes.numpy()[:, None, None]
        np.testing.assert_array_equal(constants.values, plain * np.sign(factor)[:, None, None, None])
        source, target = program.scales[operation.sources[0]], program.scales[operation.target]
        code = constants.factors.astype(np.int64)
        stored = ((code & ((1 << FRACTION) - 1)) + (1 << FRACTION)) * 2.0 ** -((code >> FRACTION) + LEAST_SHIFT)
        np.testing.assert_allclose(stored, source * scales.numpy() * np.abs(factor) / target, rtol=2.0**-12)
        checked += 1
    assert checked
    scales = [program.scales[op.target] for op in program.graph.operations if not getattr(op, "is_last", False)]
    assert set(np.frexp(scales)[0]) == {0.5}


def test_without_rounding_of_factors_and_biases_every_value_is_that_of_training() -> None:
    """Scales that are powers of two, images too, and no bias: then nothing is left to round, down to the last bit."""
    network, predictor = settled(PLAIN, (12, 12, 1), {"weights": 4, "powers_of_two": True}, factor=2**-8)
    for name, value in network.weights.items():
        if name.endswith("bias"):
            value[:] = 0
    predictor.load_weights({name: torch.from_numpy(value) for name, value in network.weights.items()})
    images = pictures(100, (12, 12, 1))
    program = quantize(network, images)
    values, outputs = (
        values_of(program, images),
        outputs_of(predictor.network, predictor.scaling.apply(images, np.arange(100))),
    )
    for name in ("maxpool1", "activation1", "avgpool1"):
        value = program.graph.places[name]
        expected = outputs[name] / program.scales[value]
        assert (expected != 0).mean() > 0.1
        np.testing.assert_array_equal(values[value], expected)


@pytest.mark.parametrize("name", SLOW)
def test_a_program_answers_as_the_network_was_trained(name: str) -> None:
    """Factors of 12 bits and biases of 16 may move a value by a step here and there, and no answer but a close one."""
    words, shape, settings = CASES[name]
    network, predictor = settled(words, shape, settings)
    images = pictures(400, shape)
    program = quantize(network, images[:50])
    values = values_of(program, images)
    outputs = outputs_of(predictor.network, predictor.scaling.apply(images, np.arange(400)))
    last = network.summary.layers[-1].name
    expected, given = outputs[last], program.logits(images)
    assert len(np.unique(expected.round(3), axis=0)) > (10 if name == "ternary" else 100)
    spread = expected.std()
    assert np.abs(given - expected).mean() < spread * (0.2 if settings.get("activations") == 4 else 0.03)
    top = np.sort(expected, 1)
    is_clear = top[:, -1] - top[:, -2] > 0.1 * spread
    assert (given.argmax(1) == expected.argmax(1))[is_clear].mean() > (0.9 if name == "ternary" else 0.99)
    first = next(row.name for row in network.summary.layers if network_rounds(predictor.network, row.name))
    at = program.graph.places[first]
    steps = np.abs(values[at] - outputs[first] / program.scales[at])
    assert steps.max() <= 1.01
    assert (steps < 0.01).mean() > 0.95


def network_rounds(network: Network, name: str) -> bool:
    rounds = network._rounds.get(name)
    return rounds is not None and rounds.after is not None


def test_bytes_are_those_of_each_layers_bits() -> None:
    words, shape, settings = CASES["record"]
    network, _ = settled(words, shape, settings)
    program = quantize(network, pictures(20, shape))
    by_layer = {
        operation.name: operation.coding.num_bytes(constants.values.size)
        for operation, constants in zip(program.graph.operations, program.constants, strict=True)
        if isinstance(constants, Kernel) and isinstance(operation, Convolve)
    }
    assert by_layer["conv1"] == 27
    assert by_layer["separable1"] == 9
    assert by_layer["dense1"] == -(-10 * network.of_layer("dense1")["kernel"].shape[1] // 4)
    assert costs_of(lower(network.summary)).bytes >= program.num_bytes


def test_weights_are_not_rounded_anew(tmp_path: Path) -> None:
    network, _ = settled(PLAIN, (12, 12, 1), {"weights": 4})
    with pytest.raises(SpecError, match="trained with weights of its own, not those of int2; export it as c"):
        write_c(network, tmp_path / "model.h", pictures(5, (12, 12, 1)), "no", "int2")
