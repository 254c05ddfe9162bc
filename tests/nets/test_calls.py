"""Calls of Keras are answered with the layer word that means the same, and Keras's signatures are Keras's."""

from __future__ import annotations

import inspect

import pytest

from assay.errors import SpecError
from assay.nets import parse
from assay.nets.calls import keras_call_problem, layer_of_call
from assay.nets.keras import REQUIRED
from assay.nets.layers import KERAS

CALLS = [
    ('Conv2D(32, (3, 3), activation="relu", padding="same")', "conv 32 3x3 relu padding=same"),
    ("layers.Conv2D(32, 5, strides=(2, 2), input_shape=(28, 28, 1))", "conv 32 5x5 stride=2"),
    ("keras.layers.Conv2D(filters=8, kernel_size=(1, 7), use_bias=False)", "conv 8 1x7 bias=false"),
    ("Conv2D(8, 3, dilation_rate=2, groups=4, name='c')", "conv 8 3x3 dilation=2 groups=4"),
    ("DepthwiseConv2D(3, depth_multiplier=2)", "depthwise 3x3 multiplier=2"),
    ("SeparableConv2D(16, (3, 3), activation='elu')", "separable 16 3x3 elu"),
    ("MaxPooling2D()", "maxpool 2"),
    ("MaxPool2D((3, 3), strides=(2, 2), padding='same')", "maxpool 3 stride=2 padding=same"),
    ("AveragePooling2D(pool_size=2, strides=2)", "avgpool 2"),
    ("GlobalAveragePooling2D()", "globalavgpool"),
    ("BatchNormalization()", "batchnorm"),
    ("GroupNormalization(4)", "groupnorm 4"),
    ("Flatten()", "flatten"),
    ("Reshape((18, 8, 8))", "reshape 18x8x8"),
    ("Reshape(target_shape=(-1,))", "reshape -1"),
    ("PReLU()", "prelu"),
    ("PReLU('zeros', shared_axes=[1, 2])", "prelu per=channel"),
    ("PReLU(shared_axes=(1, 2, 3))", "prelu per=layer"),
    ("ZeroPadding2D()", "zeropad"),
    ("ZeroPadding2D(3)", "zeropad 3"),
    ("ZeroPadding2D((1, 2))", "zeropad 1x2"),
    ("ZeroPadding2D(padding=((0, 1), (2, 3)))", "zeropad 0+1x2+3"),
    ("Dropout(0.5)", "dropout 0.5"),
    ("SpatialDropout2D(rate=0.1)", "spatialdropout 0.1"),
    ('Dense(128, activation="relu")', "dense 128 relu"),
    ('Dense(10, "softmax")', "dense classes softmax"),
    ('Activation("tanh")', "activation tanh"),
    ("ReLU()", "activation relu"),
]


@pytest.mark.parametrize(("call", "word"), CALLS)
def test_a_call_of_keras_is_answered_with_our_word(call, word):
    with pytest.raises(SpecError) as caught:
        parse([call])
    assert caught.value.problems[0].fix == f'write "{word}"'
    last = "" if word.endswith("classes softmax") else "dense classes softmax"
    assert parse([word, last] if last else [word])  # what is suggested is a layer


@pytest.mark.parametrize(("call", "word"), [c for c in CALLS if "Activation" not in c[0] and "Instance" not in c[0]])
def test_the_word_means_what_the_call_means(call, word):
    """Keras builds the layer from the call itself; ours from the word counts the same parameters and shape."""
    import keras
    from keras import layers

    from assay.nets import summarize

    names = {name: getattr(layers, name) for name in dir(layers)}
    kwargs = {**names, "layers": layers, "keras": keras}
    made = eval(call.replace(", input_shape=(28, 28, 1)", ""), kwargs)
    flat = word.startswith("dense")
    lines = (["flatten"] if flat else []) + [word]
    if not word.endswith("softmax"):
        lines += [] if flat or word == "globalavgpool" or word == "flatten" else ["flatten"]
        lines += ["dense classes softmax"]
    ours = summarize(parse(lines), (12, 12, 8), 10).layers[1 if flat else 0]
    theirs = made(keras.Input((12 * 12 * 8,) if flat else (12, 12, 8)))
    assert ours.parameters == made.count_params()
    assert tuple(ours.output_shape) == tuple(theirs.shape[1:])


@pytest.mark.parametrize("line", ["conv 8 3x3", "Conv2D(", "Conv2D(n, 3)", "Resizing(2, 2)", "f(x)(y)"])
def test_what_is_no_such_call_is_left_alone(line):
    assert layer_of_call(line) is None
    assert keras_call_problem(line) is None


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("Dense()", "Dense() is a call of Keras, and it has no units; give it."),
        ("MaxPool2D((2, 3))", "pool_size is 2 x 3; height and width are equal here."),
        ("LeakyReLU()", "its slope is 0.3; leakyrelu has 0.2 here"),
        ("LayerNormalization(epsilon=1e-5)", "epsilon is 1e-05; here it is 0.001."),
        ("GlobalMaxPool2D(keepdims=True)", "keepdims is True; here it is False."),
        ("ZeroPadding2D((1, -2))", "padding is (1, -2); give whole numbers: 1, (1, 2) or ((0, 1), (0, 1))."),
        (
            "Reshape((4, 4))",
            "target_shape is (4, 4); give (units,) or (height, width, channels), of which one may be -1.",
        ),
        ("PReLU(shared_axes=[1])", "shared_axes is [1]; give None, [1, 2] or [1, 2, 3]."),
        ("PReLU('ones')", "alpha_initializer is 'ones'; give \"zeros\" or Constant(0.25)."),
        ("PReLU(alpha_regularizer='l2')", "alpha_regularizer is 'l2'; leave it out"),
        ("Dropout(0.5, noise_shape=(1, 8))", "noise_shape is (1, 8); here it is None."),
    ],
)
def test_a_call_with_a_setting_that_has_no_words_is_answered_with_what_to_do(line, sentence):
    with pytest.raises(SpecError) as caught:
        parse([line])
    assert sentence in str(caught.value.problems[0])


@pytest.mark.parametrize("name", KERAS)
def test_each_signature_is_that_of_keras(name):
    """Names, order and defaults: what a call gives by position, and what it leaves out, mean the same here."""
    layers = pytest.importorskip("keras").layers
    parameters = inspect.signature(getattr(layers, name)).parameters.values()
    signature, _ = KERAS[name]
    assert signature.defaults == {
        one.name: REQUIRED if one.default is one.empty else one.default
        for one in parameters
        if one.kind is not one.VAR_KEYWORD
    }
