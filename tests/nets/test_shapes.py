"""Shapes, parameters and FLOPs: by hand and as published."""

import tomllib
from pathlib import Path

import pytest

from assay.errors import SpecError
from assay.nets import parse, same_padding, summarize

PUBLISHED = tomllib.loads(Path(__file__).with_name("published.toml").read_text(encoding="utf-8"))["network"]
PROBE_A = [
    *["conv 32 3x3 relu", "batchnorm", "maxpool 2", "dropout 0.5"],
    *["conv 64 5x5 relu", "batchnorm", "maxpool 2", "dropout 0.5"],
    *["flatten", "dense 128 relu", "dense classes softmax"],
]


def problems_of(words, input_shape=(28, 28, 1), num_classes=10):
    with pytest.raises(SpecError) as caught:
        summarize(parse(words), input_shape, num_classes)
    return caught.value.problems


@pytest.mark.parametrize("system", PUBLISHED, ids=lambda system: system["key"])
def test_parameters_are_those_of_the_published_summaries(system):
    base = system.get("base_parameters", 0)
    summary = summarize(parse(system["layers"]), (1, 1, 512) if base else (28, 28, 1), 10)
    assert base + summary.parameters == system["parameters_total"]
    if "parameters_trainable" in system:
        assert summary.trainable == system["parameters_trainable"]
    if "layer_parameters" in system:
        assert [row.parameters for row in summary.layers] == system["layer_parameters"]


def test_the_published_networks_are_all_there():
    """33 systems of five documents, two of them on a base."""
    assert len(PUBLISHED) == 33
    assert {system["key"][0] for system in PUBLISHED} == set("ABCDE")
    assert sum("base_parameters" in system for system in PUBLISHED) == 2


def test_a_summary_by_hand():
    summary = summarize(parse(PROBE_A), (28, 28, 1), 10)
    rows = [(row.name, row.output_shape, row.trainable, row.non_trainable, row.flops) for row in summary.layers]
    assert rows == [
        ("conv1", (26, 26, 32), (9 + 1) * 32, 0, 26 * 26 * 9 * 32 * 2),
        ("batchnorm1", (26, 26, 32), 64, 64, 26 * 26 * 32 * 2),
        ("maxpool1", (13, 13, 32), 0, 0, 0),
        ("dropout1", (13, 13, 32), 0, 0, 0),
        ("conv2", (9, 9, 64), (25 * 32 + 1) * 64, 0, 9 * 9 * 25 * 32 * 64 * 2),
        ("batchnorm2", (9, 9, 64), 128, 128, 9 * 9 * 64 * 2),
        ("maxpool2", (4, 4, 64), 0, 0, 0),
        ("dropout2", (4, 4, 64), 0, 0, 0),
        ("flatten1", (1024,), 0, 0, 0),
        ("dense1", (128,), 1025 * 128, 0, 1024 * 128 * 2),
        ("dense2", (10,), 129 * 10, 0, 128 * 10 * 2),
    ]
    assert summary.parameters == 184458
    assert summary.non_trainable == 192
    assert summary.flops == sum(row[-1] for row in rows)


@pytest.mark.parametrize(
    ("word", "output"),
    [
        ("conv 4 3x3", (11, 13, 4)),
        ("conv 4 5x2 stride=2", (5, 7, 4)),
        ("conv 4 3x3 padding=same stride=2", (7, 8, 4)),
        ("conv 4 99x99 padding=same", (13, 15, 4)),
        ("maxpool 2", (6, 7, 3)),
        ("zeropad 0+1x2+3", (14, 20, 3)),
        ("reshape 39x3x-1", (39, 3, 5)),
        ("maxpool 3 stride=1", (11, 13, 3)),
        ("maxpool 2 padding=same", (7, 8, 3)),
        ("maxpool 3 stride=2 padding=same", (7, 8, 3)),
    ],
)
def test_windows_move_as_in_keras(word, output):
    summary = summarize(parse([word, "flatten", "dense classes softmax"]), (13, 15, 3), 2)
    assert summary.layers[0].output_shape == output


@pytest.mark.parametrize(
    ("size", "window", "stride", "expected"),
    [(5, 3, 1, (1, 1)), (5, 2, 1, (0, 1)), (5, 2, 2, (0, 1)), (6, 3, 2, (0, 1)), (7, 1, 3, (0, 0)), (4, 7, 2, (2, 3))],
)
def test_same_padding_by_hand(size, window, stride, expected):
    assert same_padding(size, window, stride) == expected


HEAD = ["flatten", "dense classes softmax"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["maxpool 14", "conv 8 5x5", *HEAD],
            'layers[1]: conv1 ("conv 8 5x5") has a 5 x 5 kernel for an input of 2 x 2 x 1; '
            "use a smaller kernel, padding=same or less pooling before it.",
        ),
        (
            ["maxpool 14", "maxpool 3", *HEAD],
            'layers[1]: maxpool2 ("maxpool 3") has 3 x 3 windows for an input of 2 x 2 x 1; '
            "use a smaller size, padding=same or less pooling before it.",
        ),
        (
            ["conv 8 3x3", "dense classes softmax"],
            'layers[1]: dense1 ("dense classes softmax") gets an image of 26 x 26 x 8, not a vector; add "flatten" '
            "before it (Keras would apply it at each position; here that is not meant).",
        ),
        (
            ["flatten", "conv 8 3x3", "dense classes softmax"],
            'layers[1]: conv1 ("conv 8 3x3") gets a vector of 784, not an image; move it before flatten.',
        ),
        (
            ["reshape 7x7x15", *HEAD],
            'layers[0]: reshape1 ("reshape 7x7x15") has 7 x 7 x 15 for an input of 28 x 28 x 1, which holds 784 '
            "values; give sizes that hold as many, one of them -1 if you like.",
        ),
        (
            ["reshape 5x-1x2", *HEAD],
            'layers[0]: reshape1 ("reshape 5x-1x2") has 5 x -1 x 2 for an input of 28 x 28 x 1, which holds 784 '
            "values; give sizes that hold as many, one of them -1 if you like.",
        ),
        (
            ["flatten", "maxpool 2", "dense classes softmax"],
            'layers[1]: maxpool1 ("maxpool 2") gets a vector of 784, not an image; move it before flatten.',
        ),
        (
            ["flatten", "dense 12 softmax"],
            'layers[1]: dense1 ("dense 12 softmax") is the last layer and has 12 units for 10 classes; '
            'end with "dense classes softmax".',
        ),
        (
            ["flatten", "dense classes"],
            'layers[1]: dense1 ("dense classes") is the last layer and has no softmax; '
            'end with "dense classes softmax".',
        ),
        (
            ["conv 8 3x3 softmax", *HEAD],
            'layers[0]: conv1 ("conv 8 3x3 softmax") has a softmax in the middle of the network; '
            "use relu; softmax is for the last dense layer.",
        ),
        (
            ["flatten", "dense classes softmax", "dropout 0.5"],
            'layers[2]: dropout1 ("dropout 0.5") is the last layer; end with "dense classes softmax".',
        ),
        ([], 'layers: the network has no layers; end with "dense classes softmax".'),
    ],
)
def test_a_network_that_cannot_be_is_refused_in_one_sentence(words, sentence):
    assert sentence in map(str, problems_of(words))


def test_every_problem_of_a_network_is_told_at_once():
    found = problems_of(["conv 8 30x3 softmax", "maxpool 2", "dense 32 relu", "conv 8 3x3", "flatten", "dense 7"])
    assert [problem.key for problem in found] == [
        *["layers[0]", "layers[0]"],  # the kernel and the softmax; behind it no shape is known until the dense layer
        "layers[3]",
        *["layers[5]", "layers[5]"],  # the units and the missing softmax
    ]


def test_batch_normalization_fits_images_and_vectors():
    summary = summarize(parse(["batchnorm", "flatten", "batchnorm", "dense classes softmax"]), (4, 5, 3), 2)
    assert [row.parameters for row in summary.layers] == [12, 0, 240, 122]


def test_reshaped_values_see_what_they_can_depend_on():
    """The same shape changes nothing; a vector's units keep their fields; in another image neighbours are others."""
    lines = ["conv 2 3x3", "reshape 26x26x2", "reshape 13x52x2", "reshape -1"]
    rows = summarize(parse([*lines, "dense classes softmax"]), (28, 28, 1), 10).layers
    fields = [(row.receptive_field.size, row.receptive_field.stride) for row in rows[:4]]
    assert fields == [((3, 3), (1, 1)), ((3, 3), (1, 1)), ((28, 28), (0, 0)), ((28, 28), None)]
    assert [row.activation_bytes for row in rows[:4]] == [4 * 26 * 26 * 2, 0, 0, 0]
