"""A layer's record is right about what the layer learns, and a backend that lacks a word says so."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from assay.errors import SpecError
from assay.nets import parse, summarize
from assay.nets.build import build
from assay.nets.layers import WORDS, Conv, Dense
from assay.nets.modules import MODULES
from assay.nets.translation import Translation
from assay.seeds import Streams

# A network for each word: the lines before it, and its own.
NETWORKS = {
    "conv": ([], "conv 6 3x2 groups=2"),
    "depthwise": ([], "depthwise 3x2 multiplier=3 bias=false"),
    "separable": ([], "separable 5 2x3 multiplier=2"),
    "batchnorm": ([], "batchnorm"),
    "layernorm": ([], "layernorm"),
    "groupnorm": ([], "groupnorm 2"),
    "instancenorm": ([], "instancenorm"),
    "maxpool": ([], "maxpool 2"),
    "avgpool": ([], "avgpool 2"),
    "globalmaxpool": ([], "globalmaxpool"),
    "globalavgpool": ([], "globalavgpool"),
    "dropout": ([], "dropout 0.2"),
    "spatialdropout": ([], "spatialdropout 0.2"),
    "flatten": ([], "flatten"),
    "zeropad": ([], "zeropad 0+1x2"),
    "reshape": ([], "reshape 14x-1x4"),
    "dense": (["flatten"], "dense 7"),
    "activation": ([], "activation relu"),
    "prelu": ([], "prelu"),
}


@pytest.mark.parametrize("word", WORDS)
def test_a_record_names_the_parameters_that_its_module_has(word: str) -> None:
    before, line = NETWORKS[word]
    after = [] if WORDS[word] is Dense or "global" in word else ["flatten"]
    network = build(parse([*before, line, *after, "dense classes softmax"]), (7, 8, 4), 3, Streams(0))
    row = network.summary.layers[len(before)]
    module = network.get_submodule(row.name)
    assert row.layer.word == word
    assert [(tensor.name, tensor.shape) for tensor in row.tensors] == [
        (name, tuple(value.shape)) for name, value in module.state_dict().items()
    ]
    assert [tensor.name for tensor in row.tensors if tensor.is_trained] == [
        name for name, _ in module.named_parameters()
    ]
    for tensor, value in zip(row.tensors, module.state_dict().values(), strict=True):
        there = tensor.to_keras(value.numpy())
        assert there.shape == tensor.keras_shape
        np.testing.assert_array_equal(tensor.from_keras(there), value.numpy())
    images = torch.zeros(2, 4, 7, 8)
    outputs = []
    module.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    network.eval()(images)
    shape = outputs[0].permute(0, 2, 3, 1).shape if outputs[0].dim() == 4 else outputs[0].shape
    assert tuple(shape[1:]) == row.output_shape


def test_every_word_can_be_trained() -> None:
    assert set(WORDS) <= set(MODULES.words)


def test_a_backend_without_a_word_refuses_it_in_one_sentence() -> None:
    table: Translation[object] = Translation("steam valve", "export it as onnx", {Conv: str})
    conv, _, dense = summarize(parse(["conv 2 3x3", "flatten", "dense classes softmax"]), (8, 8, 1), 3).layers
    assert table[conv] is str
    with pytest.raises(SpecError) as caught:
        table[dense]
    assert [str(problem) for problem in caught.value.problems] == [
        'dense1 ("dense classes softmax") has no steam valve here; export it as onnx.'
    ]
