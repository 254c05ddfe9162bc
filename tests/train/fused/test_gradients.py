"""The kernels in float32 against torch's autograd in float64: loss, hits, gradients, statistics, evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from assay.nets.dropout import dropout
from assay.nets.masks import keep_mask

from . import reference
from .reference import (
    CLASSES,
    STEP,
    STREAMS,
    Batch,
    by_kernels,
    by_torch,
    clear_case,
    error,
    fused_of,
    network_of,
    random_batch,
    worst,
)

# Every sum has at most a few thousand terms of like size, so float32 keeps it to about 1e-6 of the gradient's norm;
# ten times that leaves room for another order of summation, and is far below what one wrong term would do.
TOLERANCE = 1e-5

END = ["flatten", "dense classes softmax"]
NETWORKS: dict[str, tuple[list[Any], tuple[int, int, int]]] = {
    "one convolution": (["conv 5 3x3 relu", "maxpool 2", *END], (11, 9, 1)),
    "two convolutions, nothing between": (["conv 5 3x3 relu", "conv 5 3x3 relu", *END], (9, 8, 3)),
    "same padding": (
        ["conv 5 3x3 relu padding=same", "maxpool 2 padding=same", "conv 7 3x3 relu padding=same",
         "maxpool 3 padding=same", *END],
        (11, 9, 3),
    ),
    "even kernels, same padding": (
        ["conv 5 4x2 relu padding=same", "maxpool 2 padding=same", "conv 5 2x4 relu padding=same", *END],
        (9, 7, 1),
    ),
    "windows that leave edges uncovered": (
        ["conv 5 3x3 relu", "batchnorm", "maxpool 2", "conv 5 3x3 relu", "batchnorm", "maxpool 3", *END],
        (17, 15, 3),
    ),
    "pooling pads, behind batch normalization": (
        ["conv 5 3x3 relu", "batchnorm", "maxpool 2 padding=same", "conv 5 3x3", "maxpool 3 padding=same", *END],
        (13, 15, 1),
    ),
    "windows that overlap, batch normalization of either sign behind": (
        ["conv 5 3x3 relu", "maxpool 3 stride=1", "batchnorm", "dropout 0.2", "conv 5 3x3 relu", "maxpool 3 stride=2",
         "batchnorm", "dropout 0.2", *END],
        (14, 13, 1),
    ),
    "windows that overlap, padding": (
        ["conv 5 3x3 relu padding=same", "maxpool 2", "maxpool 3 stride=1 padding=same", "conv 5 3x3 padding=same",
         "maxpool 3 stride=2 padding=same", "conv 6 3x3 relu", *END],
        (14, 13, 3),
    ),
    "windows that leave gaps": (
        ["conv 5 3x3 relu", "batchnorm", "maxpool 2 stride=3", "conv 6 2x2 relu", "maxpool 1 stride=2 padding=same",
         "dropout 0.2", "flatten", "batchnorm", END[1]],
        (14, 13, 1),
    ),
    "means, and means of everything": (
        ["conv 5 3x3 relu", "avgpool 2", "batchnorm", "conv 5 3x3 relu", "avgpool 3 stride=2 padding=same",
         "dropout 0.2", "conv 6 2x2 relu padding=same", "globalavgpool", "batchnorm", "dense 10 relu", END[1]],
        (15, 14, 1),
    ),
    "means that overlap or leave gaps": (
        ["conv 5 3x3 relu", "avgpool 3 stride=1", "avgpool 2 stride=3", "conv 6 2x2 relu",
         "avgpool 2 stride=1 padding=same", *END],
        (14, 13, 3),
    ),
    "the largest of everything": (["conv 5 3x3 relu", "conv 6 3x3", "globalmaxpool", "dropout 0.2", END[1]], (9, 8, 1)),
    "activations of layers": (
        ["conv 5 3x3 gelu", "maxpool 2", "conv 5 3x3 silu padding=same", "batchnorm", "flatten", "dense 10 tanh",
         "dense 9 elu", "dense 8 sigmoid", "dense 7 leakyrelu", END[1]],
        (11, 9, 1),
    ),
    "the largest of what rises": (
        ["conv 5 3x3 bias=false", "batchnorm", "relu", "maxpool 2", "dropout 0.3", "conv 5 3x3 elu padding=same",
         "maxpool 3 stride=2", "conv 6 2x2 padding=same bias=false", "batchnorm", "tanh", "maxpool 2 padding=same",
         "dropout 0.2", *END],
        (19, 18, 1),
    ),
    "the largest of what rises, first layers and last": (
        ["conv 5 3x3 leakyrelu", "maxpool 2", "dropout 0.2", "conv 5 3x3 relu6", "maxpool 2 stride=1",
         "conv 6 3x3 sigmoid", "globalmaxpool", "dropout 0.2", "dense 9", "relu", "dropout 0.3", END[1]],
        (16, 15, 3),
    ),
    "activations as layers": (
        ["conv 5 3x3", "relu", "maxpool 2", "gelu", "conv 5 3x3 padding=same", "elu", "batchnorm", "relu", "flatten",
         "silu", "dense 10", "leakyrelu", "dropout 0.2", "tanh", "dense classes", "softmax"],
        (11, 9, 3),
    ),
    "stride, kernels that are fixed": (
        ["conv 5 3x3 relu stride=2 fixed=true", "batchnorm", "conv 5 3x3 relu bias=false fixed=true", *END],
        (12, 14, 3),
    ),
    "stride, same padding": (["conv 5 3x3 relu stride=2 padding=same", "maxpool 2", *END], (12, 11, 1)),
    "strides": (
        ["conv 5 3x3 relu", "conv 6 3x3 relu stride=2", "maxpool 2 stride=1", "conv 5 2x3 relu stride=3", *END],
        (18, 17, 1),
    ),
    "strides that divide the image": (
        ["conv 5 3x3 relu padding=same", "conv 6 3x3 relu stride=2 padding=same", "batchnorm",
         "conv 5 5x4 relu stride=3 padding=same", "conv 7 1x1 padding=same stride=1", *END],
        (12, 18, 1),
    ),
    "strides that divide the image and leave its edge uncovered": (
        ["conv 5 3x3 relu padding=same", "conv 6 3x2 relu stride=2", "conv 4 1x1 relu stride=5", *END],
        (12, 22, 3),
    ),
    "relu in the pass before it": (
        ["conv 5 3x3 bias=false", "batchnorm", "relu", "maxpool 2", "dropout 0.2",
         "conv 6 3x3 padding=same bias=false", "batchnorm", "dropout 0.3", "relu", "conv 5 2x2", "maxpool 2", "relu",
         "maxpool 2 stride=1", *END],
        (17, 18, 1),
    ),
    "strides, same padding": (
        ["conv 5 3x3 relu stride=2 padding=same", "conv 6 3x4 relu stride=2 padding=same", "batchnorm",
         "conv 5 1x1 stride=2 padding=same", *END],
        (16, 15, 3),
    ),
    "each channel by itself": (
        ["conv 5 3x3 relu", "depthwise 3x3 relu", "maxpool 2", "conv 6 1x1", "depthwise 2x4 padding=same bias=false",
         "batchnorm", "relu", "conv 6 3x3 groups=6 fixed=true", "dropout 0.2", *END],
        (13, 15, 1),
    ),
    "each channel by itself, several times, with strides": (
        ["depthwise 3x3 relu padding=same multiplier=2", "depthwise 4x2 stride=2 multiplier=3 bias=false", "batchnorm",
         "conv 7 1x1 relu", "conv 14 3x3 relu groups=7 stride=2 padding=same", "maxpool 2 stride=1", *END],
        (16, 15, 3),
    ),
    "each channel by itself, kernels as large as the picture": (
        ["conv 3 1x1", "depthwise 11x9 padding=same gelu", "depthwise 11x9 multiplier=2", *END],
        (11, 9, 1),
    ),
    "depthwise of one channel": (["depthwise 3x3 relu multiplier=4", "maxpool 2", *END], (11, 9, 1)),
    "separable": (
        ["separable 5 3x3 relu padding=same", "separable 6 3x3 relu multiplier=2", "batchnorm", "maxpool 2",
         "separable 7 2x3 relu stride=2 bias=false", "avgpool 2 stride=1", *END],
        (15, 13, 3),
    ),
    "separable of one channel": (["separable 5 3x3 relu multiplier=2", "separable 6 3x3 relu", *END], (13, 15, 1)),
    "means and softmax": (
        ["conv 5 3x3 relu", "separable 10 3x3 relu padding=same", "globalavgpool", "softmax"], (12, 11, 1)
    ),
    "means of everything, each channel by itself": (
        ["conv 10 3x3", "depthwise 3x3 relu padding=same", "globalavgpool", "softmax"], (12, 11, 1)
    ),
    "everything behind the last convolution": (
        ["conv 10 3x3 relu padding=same", "maxpool 2", "batchnorm", "dropout 0.2", "globalmaxpool", "elu", "softmax"],
        (12, 11, 1),
    ),
    "a convolution of everything": (["conv 5 3x3 relu", "conv 10 3x3", "flatten", "softmax"], (5, 5, 1)),
    "a relu behind the last layer": (["conv 5 3x3 relu", "flatten", "dense classes relu", "softmax"], (11, 9, 1)),
    "no bias": (
        ["conv 5 3x3 relu bias=false", "maxpool 2", "conv 5 3x3 bias=false", "batchnorm", "relu", "flatten",
         "dense 10 relu bias=false", "dense classes softmax bias=false"],
        (11, 10, 1),
    ),
    "batch normalization behind everything": (
        ["conv 5 3x3 relu", "batchnorm", "maxpool 2", "dropout 0.2", "batchnorm", "conv 6 3x3 relu", "flatten",
         "batchnorm", "dense 10 relu", "batchnorm", "dense classes softmax"],
        (12, 11, 1),
    ),
    "dropout behind everything": (
        ["conv 5 3x3 relu", "dropout 0.2", "maxpool 2", "dropout 0.3", "conv 5 3x3 relu", "flatten", "dropout 0.4",
         "dense 10 relu", "dropout 0.5", "dense classes softmax"],
        (12, 11, 3),
    ),
    "batch normalization, pooling and dropout at once": (
        ["conv 5 3x3 relu", "batchnorm", "maxpool 2", "dropout 0.3", "conv 6 3x3 relu", "flatten", "batchnorm",
         "dropout 0.2", "dense classes softmax"],
        (11, 12, 1),
    ),
    "softmax regression": (END, (5, 7, 3)),
    "dense layers only": (["flatten", "dense 30 relu", "dense 10", "dense 10 relu", END[1]], (6, 5, 1)),
    "linear convolution": (["conv 5 3x3", "maxpool 2", "conv 5 3x3 relu", *END], (11, 10, 1)),
    "penalties": (
        ["conv 5 3x3 relu l2=0.02 l1=0.01", "maxpool 2", "conv 5 3x3 relu l1=0.1", "flatten", "dense 10 relu l2=0.03",
         "dense classes softmax"],
        (11, 10, 1),
    ),
    "penalties on two kernels": (
        ["conv 5 3x3 relu", "separable 6 3x3 relu l2=0.02 l1=0.01", "depthwise 3x3 l1=0.1", *END], (13, 15, 1)
    ),
    "wide layers": (["conv 17 3x3 relu", "conv 19 5x5 relu", "flatten", "dense 83 relu", "dense classes softmax"],
                    (9, 10, 1)),
    "tiles of odd and even pictures, with and without padding": (
        ["conv 17 3x3 relu", "conv 19 3x3 relu", "batchnorm", "conv 16 3x3 padding=same bias=false", "maxpool 2",
         "conv 18 3x3 relu padding=same l2=0.02", *END],
        (13, 16, 3),
    ),
    "tiles, nothing behind them": (
        ["conv 16 1x1", "conv 20 3x3 relu padding=same", "conv 10 3x3 padding=same", "globalavgpool", "softmax"],
        (7, 7, 1),
    ),
    "dropout of whole channels": (
        ["conv 5 3x3 relu", "maxpool 2", "spatialdropout 0.3", "conv 6 3x3 relu padding=same", "spatialdropout 0.4",
         "batchnorm", "dropout 0.2", "conv 7 2x2 tanh padding=same", "spatialdropout 0.2", *END],
        (13, 12, 1),
    ),
    "dropout of whole channels of rate 0": (["conv 5 3x3 relu", "spatialdropout 0", "dropout 0.2", *END], (11, 9, 1)),
    "dropout of rate 0": (["conv 5 3x3 relu", "dropout 0", "maxpool 2", *END], (11, 9, 1)),
    "shortcuts with a stride": (
        ["conv 6 3x3 padding=same bias=false", "batchnorm", "relu",
         {"residual": ["conv 8 3x3 stride=2 padding=same bias=false", "batchnorm", "relu",
                       "conv 8 3x3 padding=same bias=false", "batchnorm"],
          "shortcut": ["conv 8 1x1 stride=2 bias=false", "batchnorm"], "activation": "relu"},
         {"residual": ["conv 8 3x3 padding=same", "dropout 0.2"], "activation": "relu"}, "globalavgpool", END[1]],
        (9, 11, 3),
    ),
    "shortcuts that pool": (
        ["conv 5 3x3 relu", {"residual": ["conv 5 3x3 stride=2 padding=same bias=false", "batchnorm"],
                             "shortcut": ["avgpool 2 padding=same"], "activation": "tanh"},
         {"residual": ["conv 7 1x1 relu", "dropout 0.3"],
          "shortcut": ["maxpool 3 stride=1 padding=same", "conv 7 1x1"]},
         {"residual": ["depthwise 3x3 padding=same"], "shortcut": ["batchnorm", "dropout 0.2", "gelu"]}, *END],
        (11, 10, 1),
    ),
    "normalization and activation in front": (
        ["conv 6 3x3 bias=false", {"repeat": 2, "layers": [
            {"residual": ["batchnorm", "relu", "conv 4 3x3 padding=same bias=false", "batchnorm", "relu",
                          "conv 6 1x1 bias=false"]},
        ]}, "batchnorm", "relu", "maxpool 2", *END],
        (10, 11, 1),
    ),
    "residual blocks around the picture": (
        [{"residual": ["conv 3 3x3 padding=same relu", "conv 3 1x1"], "shortcut": ["conv 3 1x1"]},
         {"residual": ["batchnorm"]}, "maxpool 2", *END],
        (9, 10, 3),
    ),
    "a picture that is added to itself": (
        [{"residual": ["conv 3 5x5 padding=same relu"], "activation": "elu"}, "conv 4 3x3", *END], (9, 10, 3),
    ),
    "a picture that is normalized, pooled and dropped first": (
        ["batchnorm", "maxpool 2", "dropout 0.2", "conv 5 3x3 relu", *END], (11, 12, 3),
    ),
    "a picture that is pooled and bent first": (
        ["avgpool 2", "gelu", "conv 5 3x3 relu", "maxpool 2", *END], (15, 14, 3),
    ),
    "a vector that is added to the pixels that it is made of": (
        ["conv 4 3x3 relu", "flatten", {"residual": ["dense 9 tanh", "dense 120", "dropout 0.2"]},
         {"residual": ["batchnorm", "dense 120 elu"], "activation": "relu"}, END[1]],
        (7, 8, 1),
    ),
    "pixels as a vector, normalized first": (
        ["flatten", "batchnorm", "dropout 0.2", "dense 9 relu", "layernorm", END[1]], (3, 4, 6),
    ),
    "one tensor, several margins": (
        ["conv 6 3x3 relu", {"residual": ["conv 5 7x5 padding=same relu", "depthwise 3x3 padding=same"],
                             "shortcut": [{"residual": ["conv 6 3x3 padding=same"], "shortcut": ["conv 6 1x1"]},
                                          "conv 5 3x3 padding=same"]}, "maxpool 2", *END],
        (11, 9, 1),
    ),
    "one tensor, several margins, each channel by itself": (
        ["conv 5 3x3 relu", {"residual": ["depthwise 3x3 padding=same relu"],
                             "shortcut": ["depthwise 5x5 padding=same"]},
         {"residual": ["conv 5 3x3 padding=same stride=2"], "shortcut": ["conv 5 5x5 padding=same stride=2"]}, *END],
        (11, 9, 1),
    ),
    "the picture read with several margins": (
        [{"residual": ["conv 5 3x3 padding=same relu"], "shortcut": ["conv 5 5x5 padding=same"]}, "maxpool 2", *END],
        (11, 9, 3),
    ),
    "a shortcut that ends the network": (
        ["conv 6 3x3 relu", {"residual": ["conv 10 3x3 padding=same relu"], "shortcut": ["conv 10 1x1"]},
         "globalavgpool", "softmax"],
        (9, 8, 1),
    ),
    "padding in pixels": (
        ["conv 5 3x3 relu padding=2", "maxpool 3 stride=2 padding=1", "conv 6 3x3 padding=1 stride=2 relu",
         "depthwise 3x3 padding=2 bias=false", "batchnorm", "avgpool 3 stride=1 padding=1", "maxpool 2 padding=1",
         *END],
        (11, 9, 1),
    ),
    "more padding than a kernel reaches": (
        ["conv 5 2x3 padding=3 relu", "conv 6 2x2 padding=3 relu", "conv 5 1x1 padding=2 stride=2",
         "depthwise 2x1 padding=4 relu", "depthwise 1x2 padding=2 stride=3", "dropout 0.2", *END],
        (6, 5, 1),
    ),
    "tiles with more padding than they reach": (
        ["conv 16 1x1", "conv 32 3x3 padding=4", "conv 32 3x3 padding=3 relu", "globalavgpool", END[1]], (7, 8, 1),
    ),
    "batch normalization with numbers of its own": (
        ["conv 5 3x3 relu", "batchnorm epsilon=0.1 momentum=0.5", "maxpool 2", "conv 5 3x3 relu",
         "batchnorm momentum=0", "relu", "flatten", "dense 9 bias=false",
         "batchnorm epsilon=0.00001 momentum=0.9", "relu", END[1]],
        (11, 9, 1),
    ),
    "groups": (
        ["conv 6 3x3 relu", "conv 9 3x3 groups=3 padding=same relu",
         "conv 12 2x3 groups=3 stride=2 padding=1 bias=false", "batchnorm", "relu", "conv 8 1x1 groups=2 fixed=true",
         "conv 10 3x3 groups=2 padding=same l2=0.02 l1=0.01", "maxpool 2", *END],
        (13, 12, 1),
    ),
    "dilation": (
        ["conv 5 3x3 dilation=2 padding=same relu", "conv 6 3x2 dilation=3 padding=4 relu", "maxpool 2",
         "depthwise 3x3 dilation=2 multiplier=2 padding=same relu", "conv 6 3x3 dilation=2 padding=same",
         "conv 4 3x3 groups=2 dilation=2 padding=same bias=false", "batchnorm", *END],
        (11, 12, 3),
    ),
    "dilation of channels by themselves": (
        ["depthwise 3x3 dilation=3 padding=same relu", "depthwise 3x2 dilation=2 padding=2 bias=false",
         "separable 6 3x3 dilation=2 padding=same relu", "depthwise 1x5 dilation=2 padding=4", "maxpool 2", *END],
        (11, 12, 3),
    ),
    "groups and dilation at the ends of the network": (
        ["conv 4 3x3 groups=2 relu", "conv 10 3x3 groups=2 dilation=2 padding=same", "globalavgpool", "softmax"],
        (9, 8, 4),
    ),
    "normalization of each image": (
        ["conv 6 3x3 tanh", "layernorm", "conv 5 3x3 padding=same bias=false", "instancenorm", "relu", "maxpool 2",
         "conv 6 3x3 elu", "groupnorm 2", "dropout 0.2", "flatten", "layernorm", "dense 12 relu",
         "groupnorm 3", END[1]],
        (12, 13, 3),
    ),
    "normalization of each image at the ends of the network": (
        ["instancenorm", "layernorm", {"residual": ["groupnorm 3", "relu", "conv 3 3x3 padding=same"]},
         "conv 10 3x3", "layernorm", "globalmaxpool", "softmax"],
        (8, 9, 3),
    ),
    "learned slopes": (
        ["conv 5 3x3", "prelu per=channel", "maxpool 2", "conv 6 3x3 bias=false", "batchnorm", "prelu slope=0.25",
         {"residual": ["prelu per=layer slope=0.1", "conv 6 1x1"]}, "flatten", "prelu per=channel", "dense 9", "prelu",
         END[1]],
        (11, 12, 1),
    ),
    "learned slopes at the ends of the network": (
        ["prelu per=channel slope=0.1", "conv 10 3x3", "prelu slope=0.2", "globalavgpool", "prelu", "softmax"],
        (7, 8, 3),
    ),
    "zeros around": (
        ["zeropad 1", "conv 5 3x3 relu", "zeropad 2+0x1+3", "conv 6 3x3", "zeropad 1", "maxpool 2 stride=1",
         "batchnorm",
         {"parallel": [["zeropad 1", "depthwise 3x3"], ["conv 3 3x3 padding=same"], ["zeropad 0+1x1+0", "conv 3 2x2"]]},
         "zeropad 1", *END],
        (7, 8, 3),
    ),
    "other shapes": (
        ["conv 6 3x3 relu", "reshape 6x14x2", "conv 4 3x3 padding=same relu", "reshape 12x-1x4", "maxpool 2",
         {"parallel": [[], ["reshape 3x3x8", "reshape 6x3x4"]]}, "conv 6 3x3", "dropout 0.2", "flatten",
         "reshape 2x1x12",
         {"residual": ["conv 12 3x3 padding=same bias=false"]}, "reshape -1", "batchnorm", "dense 12 elu",
         "reshape 1x3x4",
         "spatialdropout 0.2", "reshape 3x1x4", *END],
        (9, 6, 1),
    ),
    "an inception block": (
        ["conv 6 3x3 relu padding=same", {"parallel": [
            ["conv 4 1x1 relu"], ["conv 3 1x1 relu", "conv 5 3x3 padding=same relu"],
            ["conv 2 1x1 relu", "conv 3 5x5 padding=same relu"],
            ["maxpool 3 stride=1 padding=same", "conv 4 1x1 relu bias=false"],
        ]}, "batchnorm", "relu", "maxpool 2", "dropout 0.2", *END],
        (9, 8, 1),
    ),
    "branches of odd channels, without layers, and of one activation": (
        ["conv 5 3x3 relu padding=same", {"parallel": [["conv 3 3x3 padding=same"], [], ["tanh"], ["conv 7 1x1"]]},
         "conv 5 3x3 padding=same relu",
         {"parallel": [["conv 3 1x1"], ["conv 3 3x3 padding=same relu"], ["conv 3 1x1"]], "join": "add"}, "elu", *END],
        (9, 8, 1),
    ),
    "branches in branches": (
        ["conv 4 3x3", {"parallel": [
            [{"parallel": [["conv 3 1x1 relu"], ["depthwise 3x3 padding=same"]]}, "conv 4 3x3 padding=same relu"],
            [{"residual": ["conv 4 3x3 padding=same"], "activation": "relu"}, "batchnorm"],
            [{"parallel": [[], ["avgpool 3 stride=1 padding=same"]]}],
        ]}, {"repeat": 2, "layers": [{"parallel": [[], ["batchnorm", "relu", "conv 2 3x3 padding=same"]]}]},
         "globalavgpool", END[1]],
        (9, 8, 3),
    ),
    "a picture in branches": (
        [{"parallel": [["conv 3 3x3 relu padding=same"], [], ["maxpool 3 stride=1 padding=same"],
                       ["conv 4 5x5 padding=same"]]}, "conv 4 3x3 relu", *END],
        (9, 8, 3),
    ),
    "vectors in branches": (
        ["conv 4 3x3 relu", {"parallel": [["flatten", "dense 7 relu"], ["globalavgpool"], ["flatten"],
                                          ["conv 6 3x3", "globalmaxpool"]]}, "dense 9 tanh", END[1]],
        (7, 8, 1),
    ),
    "branches that end the network": (
        ["conv 6 3x3 relu", {"parallel": [["conv 3 1x1"], ["conv 4 3x3 padding=same"], ["conv 3 1x1"]]}, "relu",
         "globalavgpool", "softmax"],
        (9, 8, 1),
    ),
    "pooling that ends the network": (
        ["conv 10 3x3 relu", {"residual": ["conv 10 1x1"], "shortcut": ["maxpool 3 stride=1 padding=same"]},
         "globalmaxpool", "softmax"],
        (9, 8, 1),
    ),
}  # fmt: skip


def assert_equal_to_float64(network: torch.nn.Module, batch: Batch) -> None:
    expected, found = by_torch(network, batch), by_kernels(fused_of(network, len(batch.classes)), batch)
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    assert found.hits == expected.hits
    distance, name = worst(found.gradients, expected.gradients)
    assert distance < TOLERANCE, name
    for name, value in expected.statistics.items():
        # A moving variance is computed from sums of squares: relative to those, not to their difference.
        torch.testing.assert_close(found.statistics[name].double(), value, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("case", NETWORKS)
def test_training_equals_float64(case: str) -> None:
    words, shape = NETWORKS[case]
    assert_equal_to_float64(*clear_case(words, shape, 21))


@pytest.mark.parametrize("case", NETWORKS)
def test_evaluation_equals_float64(case: str) -> None:
    words, shape = NETWORKS[case]
    network, batch = network_of(words, shape), random_batch(shape, 21)
    fused = fused_of(network, 21)
    fused.pack()
    fused.put_images(batch.images, batch.indices, batch.offset, batch.factor)
    loss, hits = fused.score(batch.classes)
    logits = network.double().eval()(batch.pixels().double()).detach()
    targets = torch.from_numpy(batch.classes)
    assert loss == pytest.approx(torch.nn.functional.cross_entropy(logits, targets, reduction="sum").item(), rel=1e-6)
    assert hits == int((logits.argmax(1) == targets).sum())
    assert error(torch.from_numpy(fused.logits(21)), logits) < 1e-6


@pytest.mark.parametrize("count", [1, 15, 16, 17, 33])
def test_any_batch_size(count: int) -> None:
    words, shape = NETWORKS["batch normalization, pooling and dropout at once"]
    if count == 1:  # a vector normalized over one image is beta alone
        words = [word for word in words if word != "batchnorm"]
    assert_equal_to_float64(*clear_case(words, shape, count))


def test_a_batch_of_one_is_normalized_over_its_positions() -> None:
    words, shape = NETWORKS["windows that leave edges uncovered"]
    assert_equal_to_float64(*clear_case(words, shape, 1))


@pytest.mark.parametrize("count", [1, 15, 17])
def test_a_short_batch_knows_nothing_of_the_full_one_before(count: int) -> None:
    words, shape = NETWORKS["batch normalization, pooling and dropout at once"]
    network, batch = network_of(words, shape), random_batch(shape, 33)
    fresh = by_kernels(fused_of(network, 33), batch.first(count))
    used = fused_of(network, 33)
    by_kernels(used, random_batch(shape, 33, seed=2))
    used.load({name: value.detach() for name, value in network.state_dict().items()})
    again = by_kernels(used, batch.first(count))
    assert (again.loss, again.hits) == (fresh.loss, fresh.hits)
    assert all(torch.equal(again.gradients[name], value) for name, value in fresh.gradients.items())
    assert all(torch.equal(again.statistics[name], value) for name, value in fresh.statistics.items())


@pytest.mark.parametrize("name", ["conv1.bias", "batchnorm1.gamma", "conv2.kernel", "dense1.bias"])
def test_what_is_no_number_reaches_the_loss(name: str) -> None:
    """Neither relu nor pooling may turn a diverged weight into a harmless value."""
    words, shape = NETWORKS["batch normalization, pooling and dropout at once"]
    network, batch = network_of(words, shape), random_batch(shape, 17)
    with torch.no_grad():
        weights = network.state_dict()[name]
        weights[(0,) * weights.dim()] = np.nan
    fused = fused_of(network, 17)
    assert np.isnan(by_kernels(fused, batch).loss)
    fused.pack()
    assert np.isnan(fused.score(batch.classes)[0])


RESIDUAL: dict[str, list[Any]] = {  # smooth throughout: no decision is to be taken twice the same way
    "one layer": ["conv 5 3x3", {"residual": ["conv 5 3x3 tanh padding=same"], "activation": "elu"}, *END],
    "blocks in blocks, wide margins": [
        "conv 5 3x3", "avgpool 2", {"residual": [
            "conv 4 1x1 gelu", {"residual": ["depthwise 3x3 padding=same bias=false", "batchnorm", "silu"]},
            "dropout 0.2", "separable 5 3x3 padding=same", "dropout 0.3",
        ]}, "batchnorm", {"residual": ["conv 5 3x3 padding=same"]}, "avgpool 2", *END,
    ],
    "behind a first layer pooled in its kernel": [
        "conv 5 3x3", "maxpool 2", {"residual": ["separable 5 3x3 elu padding=same"]}, "globalavgpool", END[1],
    ],
    "the end of the network": [
        "conv 10 3x3 gelu",
        {"repeat": 2, "layers": [{"residual": ["conv 10 3x3 tanh padding=same", "depthwise 3x3 padding=same"]}]},
        "globalavgpool", "softmax",
    ],
    "vectors": ["flatten", "dense 9 tanh", {"residual": ["dense 9 gelu", "batchnorm"]}, END[1]],
}  # fmt: skip


@pytest.mark.parametrize("case", RESIDUAL)
def test_residual_blocks_equal_float64(case: str) -> None:
    shape = (12, 11, 1)
    assert_equal_to_float64(network_of(RESIDUAL[case], shape), random_batch(shape, 21))


@pytest.mark.parametrize("last", ["conv 5 3x3 relu padding=same", "depthwise 3x3 relu"])
def test_an_odd_number_of_classes_without_a_dense_layer(last: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "CLASSES", 5)
    words, shape = ["conv 5 3x3 relu", last, "batchnorm", "globalavgpool", "softmax"], (11, 9, 1)
    assert_equal_to_float64(*clear_case(words, shape, 21))


def test_images_are_taken_by_index() -> None:
    words, shape = NETWORKS["one convolution"]
    network, batch = network_of(words, shape), random_batch(shape, 21)
    chosen = np.random.default_rng(0).integers(0, 21, 19)
    fused = fused_of(network, 21)
    fused.put_images(batch.images, chosen, batch.offset, batch.factor)
    fused.pack()
    found = fused.logits(19).copy()
    fused.put_images(batch.images[chosen], np.arange(19), batch.offset, batch.factor)
    assert np.array_equal(found, fused.logits(19))
    fused.put_images(batch.images, np.arange(19), batch.offset, batch.factor)
    assert not np.array_equal(found, fused.logits(19))


def test_targets_between_two_classes() -> None:
    words, shape = NETWORKS["one convolution"]
    network, batch = network_of(words, shape), random_batch(shape, 21)
    rng = np.random.default_rng(0)
    partners, shares = rng.integers(0, 10, 21), rng.uniform(size=21).astype(np.float32)
    network = network.double()
    logits = network(batch.pixels().double())
    targets = torch.zeros(21, 10, dtype=torch.float64)
    rows = torch.arange(21)
    targets.index_put_((rows, torch.from_numpy(batch.classes)), torch.from_numpy(shares).double(), accumulate=True)
    targets.index_put_((rows, torch.from_numpy(partners)), 1 - torch.from_numpy(shares).double(), accumulate=True)
    expected = torch.nn.functional.cross_entropy(logits, targets)
    expected.backward()
    fused = fused_of(network.float(), 21)
    fused.put_images(batch.images, batch.indices, batch.offset, batch.factor)
    loss, hits = fused.train_batch(batch.classes, step=STEP, partners=partners, shares=shares)
    assert loss / 21 == pytest.approx(expected.item(), rel=1e-6)
    assert hits == int((logits.argmax(1) == torch.from_numpy(batch.classes)).sum())
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    assert worst(fused.split(fused.gradients), gradients)[0] < TOLERANCE


@pytest.mark.parametrize("step", [0, 7])
@pytest.mark.parametrize(
    ("case", "block", "post_op"), [("dropout behind everything", 0, 1), ("dropout behind everything", 2, 0)]
)
def test_dropout_drops_what_the_plain_path_drops(case: str, block: int, post_op: int, step: int) -> None:
    words, shape = NETWORKS[case]
    batch = random_batch(shape, 21)
    fused = fused_of(network_of(words, shape), 21)
    by_kernels(fused, batch, step=step)
    op = fused.program.post_ops[block][post_op]
    height, width, channels = op.plan.outputs
    inner = slice(op.z.top, op.z.top + height), slice(op.z.left, op.z.left + width)
    lanes = op.z.data.reshape(-1, op.z.full_height, op.z.full_width, op.z.vectors, 16)[:, *inner]
    dropped = lanes.transpose(0, 4, 1, 2, 3).reshape(-1, height, width, channels)[:21]
    lanes = op.m.data.reshape(-1, height, width, channels, 16)
    whole = lanes.transpose(0, 4, 1, 2, 3).reshape(-1, height, width, channels)[:21]
    key = STREAMS.key("dropout", op.plan.dropout, step)
    kept = keep_mask(key, dropped.size, op.plan.rate).reshape(dropped.shape)
    assert np.array_equal(dropped != 0, kept & (whole != 0))
    assert 0 < kept.mean() < 1
    expected = dropout(torch.from_numpy(whole.copy()).permute(0, 3, 1, 2), key, op.plan.rate).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(dropped, expected.numpy())


@pytest.mark.parametrize("norm", [[], ["batchnorm"]], ids=["plain", "normalized"])
@pytest.mark.parametrize(
    "window",
    [
        "maxpool 2",
        "maxpool 3 padding=same",
        "maxpool 3 stride=1",
        "maxpool 3 stride=2 padding=same",
        "maxpool 2 stride=3",
    ],
)
def test_the_first_of_equal_values_gets_the_gradient(window: str, norm: list[str]) -> None:
    """A kernel of zeros makes every window one of ties, and its gradient shows at which pixel each was resolved."""
    shape = (11, 9, 1)
    network, batch = network_of(["conv 5 3x3 relu", *norm, window, *END], shape), random_batch(shape, 21)
    with torch.no_grad():
        network.conv1.kernel.zero_()
        network.conv1.bias.copy_(torch.tensor([0.5, 0.5, 1.0, 2.0, -0.5]))  # of the last, relu makes a tie of zeros
    expected, found = by_torch(network, batch), by_kernels(fused_of(network, 21), batch)
    size = float(expected.gradients["conv1.kernel"].norm())
    for name in ("conv1.bias", "batchnorm1.gamma") if norm else ():  # nothing is left of them in theory
        assert found.gradients.pop(name).norm() < 1e-5 * size
        assert expected.gradients.pop(name).norm() < 1e-5 * size
    assert worst(found.gradients, expected.gradients)[0] < TOLERANCE
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)


@pytest.mark.parametrize(("mean", "spread"), [(0, 60), (100, 60), (200, 3)])
def test_statistics_of_bright_raw_images(mean: int, spread: int) -> None:
    """A variance is a difference of float32 sums; taken about a pivot, it loses nothing to a large mean."""
    shape = (12, 11, 1)
    network = network_of(["conv 5 3x3 relu", "batchnorm", "maxpool 2", *END], shape)
    rng = np.random.default_rng(0)
    images = np.clip(rng.normal(mean, spread, (32, *shape)), 0, 255).astype(np.uint8)
    batch = Batch(images, rng.integers(0, CLASSES, 32), np.zeros(1, np.float32), np.ones(1, np.float32))
    with torch.no_grad():
        network.conv1.kernel.abs_()
        network.conv1.bias.zero_()
        network.batchnorm1.moving_mean.zero_()
        network.batchnorm1.moving_variance.zero_()
    expected, found = by_torch(network, batch), by_kernels(fused_of(network, 32), batch)
    means = 100 * expected.statistics["batchnorm1.moving_mean"]
    variances, theirs = (100 * way.statistics["batchnorm1.moving_variance"].double() for way in (found, expected))
    assert spread > 3 or (means**2 / theirs).min() > 100  # there is something to lose
    assert ((variances - theirs).abs() < 1e-5 * theirs).all()


@pytest.mark.parametrize(
    "case",
    ["batch normalization, pooling and dropout at once", "means, and means of everything", "activations of layers"],
)
def test_gradients_are_finite_differences_of_the_loss(case: str) -> None:
    words, shape = NETWORKS[case]
    network, batch = network_of(words, shape), random_batch(shape, 33)
    fused = fused_of(network, 33)
    by_kernels(fused, batch)
    gradients = fused.gradients.clone()
    start = fused.values.clone()
    width = 5e-4  # wide enough for float32, whose losses err by 1e-7; narrow enough to turn few relus on or off
    for name, places in fused.split(torch.arange(float(len(start)))).items():
        at = places.flatten().long()
        place = int(at[gradients[at].abs().argmax()])  # the steepest of each tensor
        losses = []
        for sign in (1, -1):
            fused.values.copy_(start)
            fused.values[place] += sign * width
            losses.append(by_kernels(fused, batch).loss)
        slope = (losses[0] - losses[1]) / (2 * width)
        assert slope == pytest.approx(float(gradients[place]), rel=0.02, abs=2e-3), name
