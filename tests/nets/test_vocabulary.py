"""Layer words: read, written back, and refused with every problem named."""

import subprocess
import sys
from dataclasses import fields
from typing import Annotated, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import SpecError
from assay.nets import (
    VOCABULARY,
    Activate,
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Depthwise,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    MaxPool,
    Separable,
    SpatialDropout,
    parse,
    word_of,
)
from assay.nets.kinds import ActivationName, InitName
from assay.nets.layers import WORDS, PReLU, Reshape, ZeroPad

COUNTS = st.integers(1, 4096)
FLAGS = st.booleans()
ACTIVATIONS = st.sampled_from(get_args(ActivationName))
INITS = st.sampled_from(get_args(InitName))
PADDINGS = st.sampled_from(["same", "valid"]) | st.integers(1, 99)
WEIGHTS = st.floats(0, 10)
RATES = st.floats(0, 1, exclude_max=True)
KERNELS = st.tuples(COUNTS, COUNTS)
MOVED = {"padding": PADDINGS, "stride": COUNTS, "dilation": COUNTS}
WEIGHTED = {"bias": FLAGS, "l1": WEIGHTS, "l2": WEIGHTS}
LAYERS = st.one_of(
    st.builds(Conv, COUNTS, KERNELS, ACTIVATIONS, groups=COUNTS, init=INITS, fixed=FLAGS, **MOVED, **WEIGHTED),
    st.builds(Depthwise, KERNELS, ACTIVATIONS, multiplier=COUNTS, **MOVED, **WEIGHTED),
    st.builds(Separable, COUNTS, KERNELS, ACTIVATIONS, multiplier=COUNTS, **MOVED, **WEIGHTED),
    st.builds(MaxPool, COUNTS, stride=COUNTS, padding=PADDINGS),
    st.builds(AvgPool, COUNTS, stride=COUNTS, padding=PADDINGS),
    st.builds(GroupNorm, COUNTS),
    st.builds(BatchNorm, epsilon=WEIGHTS, momentum=RATES),
    st.builds(Dropout, RATES),
    st.builds(SpatialDropout, RATES),
    st.builds(Activate, ACTIVATIONS),
    st.builds(Reshape, st.tuples(COUNTS, COUNTS, COUNTS) | st.tuples(COUNTS, st.just(-1), COUNTS) | st.just((-1,))),
    st.builds(PReLU, per=st.sampled_from(["value", "channel", "layer"]), slope=WEIGHTS),
    st.builds(ZeroPad, st.tuples(*[st.tuples(st.integers(0, 99), st.integers(0, 99))] * 2)),
    st.builds(Dense, COUNTS | st.just("classes"), ACTIVATIONS, init=st.sampled_from(["glorot", "zeros"]), **WEIGHTED),
    st.sampled_from([kind() for kind in (BatchNorm, LayerNorm, InstanceNorm, GlobalMaxPool, GlobalAvgPool, Flatten)]),
)


def problems_of(*words):
    with pytest.raises(SpecError) as caught:
        parse(words)
    return caught.value.problems


@given(st.lists(LAYERS, max_size=5))
def test_layers_written_as_words_are_read_back_unchanged(layers):
    assert parse([word_of(layer) for layer in layers]) == tuple(layers)


@pytest.mark.parametrize(
    ("word", "layer", "canonical"),
    [
        ("conv 32 3x5 relu", Conv(32, (3, 5), "relu"), "conv 32 3x5 relu"),
        ("  conv  8 3x3 ", Conv(8, (3, 3)), "conv 8 3x3"),
        ("conv 8 3x3 linear stride=1 padding=valid l2=0", Conv(8, (3, 3)), "conv 8 3x3"),
        (
            "conv 8 3x3 l2=1e-4 stride=2 relu padding=same",
            Conv(8, (3, 3), "relu", padding="same", stride=2, l2=0.0001),
            "conv 8 3x3 relu padding=same stride=2 l2=0.0001",
        ),
        ("maxpool 2 stride=2", MaxPool(2), "maxpool 2"),
        ("maxpool 3 stride=2 padding=same", MaxPool(3, stride=2, padding="same"), "maxpool 3 stride=2 padding=same"),
        ("dropout 0", Dropout(0.0), "dropout 0"),
        ("dropout 0.20", Dropout(0.2), "dropout 0.2"),
        ("batchnorm", BatchNorm(), "batchnorm"),
        ("flatten", Flatten(), "flatten"),
        ("dense classes softmax", Dense("classes", "softmax"), "dense classes softmax"),
        ("dense 10 l2=0.01", Dense(10, l2=0.01), "dense 10 l2=0.01"),
        ("dense 10 bias=true l1=0 gelu", Dense(10, "gelu"), "dense 10 gelu"),
        ("Conv2D 8 3x3 ReLU bias=false", Conv(8, (3, 3), "relu", bias=False), "conv 8 3x3 relu bias=false"),
        ("conv 8 3x3 groups=2 dilation=3", Conv(8, (3, 3), dilation=3, groups=2), "conv 8 3x3 dilation=3 groups=2"),
        ("DepthwiseConv2D 3x3", Depthwise((3, 3)), "depthwise 3x3"),
        ("separable_conv 8 3x3 swish", Separable(8, (3, 3), "silu"), "separable 8 3x3 silu"),
        ("max_pooling_2d 2x2", MaxPool(2), "maxpool 2"),
        ("AveragePooling2D 3 stride=1", AvgPool(3, stride=1), "avgpool 3 stride=1"),
        ("global-average-pooling", GlobalAvgPool(), "globalavgpool"),
        ("GlobalMaxPool2D", GlobalMaxPool(), "globalmaxpool"),
        ("BatchNormalization", BatchNorm(), "batchnorm"),
        ("layer_norm", LayerNorm(), "layernorm"),
        ("group_normalization 4", GroupNorm(4), "groupnorm 4"),
        ("spatial_dropout 0.1", SpatialDropout(0.1), "spatialdropout 0.1"),
        ("relu", Activate("relu"), "activation relu"),
        ("leaky_relu", Activate("leakyrelu"), "activation leakyrelu"),
        ("activation tanh", Activate("tanh"), "activation tanh"),
        ("zeropad 1x1", ZeroPad(), "zeropad"),
        ("PReLU per=value slope=0", PReLU(), "prelu"),
        ("p_relu slope=0.25 per=channel", PReLU(per="channel", slope=0.25), "prelu per=channel slope=0.25"),
        ("reshape 7x7x-1", Reshape((7, 7, -1)), "reshape 7x7x-1"),
        ("Reshape 128", Reshape((128,)), "reshape 128"),
        ("zeropad 2", ZeroPad(((2, 2), (2, 2))), "zeropad 2"),
        ("ZeroPadding2D 0x3", ZeroPad(((0, 0), (3, 3))), "zeropad 0x3"),
        ("zero_padding_2d 0+1x2+2", ZeroPad(((0, 1), (2, 2))), "zeropad 0+1x2"),
    ],
)
def test_a_word_has_one_meaning_and_one_canonical_form(word, layer, canonical):
    assert parse([word]) == (layer,)
    assert word_of(layer) == canonical


def test_every_problem_of_every_word_is_told_at_once():
    found = problems_of("konv 32 3x3", "flatten", "conv 0 3 rellu stide=2", "dropout 1.5")
    assert [problem.key for problem in found] == ["layers[0]", *["layers[2]"] * 4, "layers[3]"]


@pytest.mark.parametrize(
    ("word", "what", "fix"),
    [
        ("konv 32 3x3", '"konv" is no layer', 'did you mean "conv"'),
        ("", '"" is no layer', "known: conv, depthwise, separable, batchnorm"),
        ("conv 32 3x3 rellu", '"rellu" is no activation', 'did you mean "relu"'),
        ("conv 32 3x3 same", '"same" is no activation', "write padding=same"),
        ("conv 32 3x3 stide=2", '"stide" is no option of conv', 'did you mean "stride"'),
        ("conv 32 3x3 padding=full", '"full" is no padding', "known: same, valid"),
        ("conv 32 3x3 stride=1 stride=2", "stride is given twice", "give it once"),
        ("conv 32 3x3 l2=-1", '"-1" given for l2', "give a number, 0 or more"),
        ("conv 32 3x3 l2=nan", '"nan" given for l2', "give a number, 0 or more"),
        ("conv 32 3", '"3" given for kernel', "give height x width such as 3x3"),
        ("conv 32 3x0", '"3x0" given for kernel', "give height x width such as 3x3"),
        ("conv 1_0 3x3", '"1_0" given for filters', "give a whole number, 1 or more"),
        ("maxpool 2.5", '"2.5" given for size', "give a whole number, 1 or more"),
        ("maxpool", "no size given", "write maxpool SIZE [stride=STRIDE] [padding=same|valid|N]"),
        ("maxpool size=2", '"size=" names a value that goes by its position', "write maxpool SIZE"),
        ("layernorm momentum=0.9", '"momentum" is no option of layernorm, which has none', "write layernorm"),
        *[
            (
                f"zeropad {text}",
                f'"{text}" given for padding',
                "give pixels on every side such as 1, ROWSxCOLUMNS such as 1x2, or TOP+BOTTOMxLEFT+RIGHT",
            )
            for text in ("-1", "1x2x3", "1+2+3", "1+", "same")
        ],
        *[
            (f"reshape {text}", f'"{text}" given for target', "give UNITS, or HEIGHTxWIDTHxCHANNELS such as 7x7x64")
            for text in ("7x7", "0", "-1x-1x3", "2x3x4x5", "7x7x-2", "axb")
        ],
        ("prelu per=pixel", '"pixel" is no per', "known: value, channel, layer"),
        ("maxpool 2x3", '"2x3" given for size', "give a whole number, 1 or more"),
        ("conv 8 3x3 bias=no", '"no" is no bias', "known: true, false"),
        ("activation", "no activation given", "write activation relu|relu6|leakyrelu"),
        ("relu 3", '"3" is one value too many', "write activation relu|"),
        ("depthwise 8", '"8" given for kernel', "give height x width such as 3x3"),
        ("groupnorm", "no groups given", "write groupnorm GROUPS"),
        ("globalavgpol 2", '"globalavgpol" is no layer', 'did you mean "globalavgpool"'),
        ("sigmod 2", '"sigmod" is no layer', 'did you mean "sigmoid"'),
        ("dropout 0.5 0.2", '"0.2" is one value too many', "write dropout RATE"),
        ("dropout 1", '"1" given for rate', "give a number from 0 (no dropout) to below 1"),
        ("dense clases", '"clases" given for units', "give a whole number, 1 or more, or the word classes"),
        ("dropout 1e999", '"1e999" given for rate', "give a number from 0 (no dropout) to below 1"),
        (
            "conv {filters} 3x3",
            '"{filters}" stands where a whole number, 1 or more belongs',
            "add filters to [factors] or give the filters",
        ),
        (
            "conv 8 3x3 padding={net.padding}",
            '"{net.padding}" stands where one of same, valid, or a number of pixels on every side belongs',
            "add net to [factors] or give the padding",
        ),
    ],
)
def test_a_bad_word_is_told_with_what_was_received_and_a_fix(word, what, fix):
    (problem,) = problems_of(word)
    assert problem.what == f'"{word}": {what}'
    assert problem.fix.startswith(fix)
    assert problem.key == "layers[0]"


def test_the_vocabulary_describes_each_word():
    activations = "relu|relu6|leakyrelu|elu|gelu|silu|sigmoid|tanh|softmax|linear"
    kernel = "[padding=same|valid|N] [stride=STRIDE] [dilation=DILATION]"
    weights = "[bias=true|false] [l1=x] [l2=x]"
    begins = "[init=glorot|identity|zeros|whitening] [fixed=true|false]"
    assert {word: entry.syntax for word, entry in VOCABULARY.items()} == {
        "conv": f"conv FILTERS KxK [activation] {kernel} [groups=GROUPS] {weights} {begins}",
        "depthwise": f"depthwise KxK [activation] [multiplier=MULTIPLIER] {kernel} {weights}",
        "separable": f"separable FILTERS KxK [activation] [multiplier=MULTIPLIER] {kernel} {weights}",
        "batchnorm": "batchnorm [epsilon=x] [momentum=MOMENTUM]",
        "layernorm": "layernorm",
        "groupnorm": "groupnorm GROUPS",
        "instancenorm": "instancenorm",
        "maxpool": "maxpool SIZE [stride=STRIDE] [padding=same|valid|N]",
        "avgpool": "avgpool SIZE [stride=STRIDE] [padding=same|valid|N]",
        "globalmaxpool": "globalmaxpool",
        "globalavgpool": "globalavgpool",
        "dropout": "dropout RATE",
        "spatialdropout": "spatialdropout RATE",
        "flatten": "flatten",
        "zeropad": "zeropad [padding]",
        "reshape": "reshape TARGET",
        "dense": f"dense UNITS|classes [activation] {weights} [init=glorot|zeros]",
        "activation": f"activation {activations}",
        "prelu": "prelu [per=value|channel|layer] [slope=x]",
    }
    assert all(entry.meaning.endswith(".") for entry in VOCABULARY.values())


@pytest.mark.parametrize("word", WORDS)
def test_each_value_of_a_word_has_exactly_one_kind(word):
    hints = get_type_hints(WORDS[word], include_extras=True)
    values = [hints[field.name] for field in fields(WORDS[word])]
    assert all(get_origin(hint) is Annotated and len(get_args(hint)) == 2 for hint in values)


def test_words_and_shapes_are_read_without_torch_or_numba():
    code = (
        "import sys, assay.nets as n; n.summarize(n.parse(['flatten', 'dense classes softmax']), (8, 8, 1), 3);"
        "sys.exit(bool({'torch', 'numba'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
