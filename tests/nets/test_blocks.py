"""Networks with blocks: read, named, counted and refused; and random networks against the modules built of them."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from assay.errors import SpecError
from assay.nets import Conv, Parallel, Repeat, Residual, parse, summarize
from assay.nets.build import build
from assay.nets.dropout import dropout
from assay.seeds import Streams
from assay.spec import Network

END = ["globalavgpool", "dense classes softmax"]
SHAPE = (12, 10, 4)


def problems_of(*lines, shape=SHAPE):
    with pytest.raises(SpecError) as caught:
        summarize(parse([*lines, *END]), shape, 5)
    return [str(problem) for problem in caught.value.problems]


def network_of(*lines, shape=SHAPE, seed=0):
    return build(parse([*lines, *END]), shape, 5, Streams(seed))


def images_of(batch=3, shape=SHAPE):
    height, width, channels = shape
    return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(1))


def test_blocks_are_read_into_a_tree():
    lines = [
        {"residual": ["conv 4 1x1", {"repeat": 2, "layers": ["relu"]}], "shortcut": ["tanh"], "activation": "swish"},
        {"parallel": [["flatten"], []], "join": "add"},
    ]  # fmt: skip
    conv, relu, tanh, flatten = parse(["conv 4 1x1", "relu", "tanh", "flatten"])
    expected = (
        Residual((conv, Repeat(2, (relu,))), (tanh,), "silu"),
        Parallel(((flatten,), ()), "add"),
    )
    assert parse(lines) == expected
    assert parse(Network(layers=lines).layers) == expected


def test_layers_are_numbered_over_the_whole_network_and_know_their_place():
    summary = summarize(
        parse(
            [
                "conv 4 3x3 padding=same",
                {"residual": ["conv 4 1x1", "relu"], "shortcut": ["conv 4 1x1 bias=false"], "activation": "relu"},
                {"repeat": 2, "layers": [{"parallel": [["conv 2 1x1"], [], ["maxpool 3 stride=1 padding=same"]]}]},
                *END,
            ]
        ),
        SHAPE,
        5,
    )
    assert [(row.name, row.inputs, row.path) for row in summary.layers] == [
        ("conv1", ("",), ()),
        ("conv2", ("conv1",), ("residual1",)),
        ("activation1", ("conv2",), ("residual1",)),
        ("conv3", ("conv1",), ("residual1", "shortcut")),
        ("add1", ("activation1", "conv3"), ("residual1",)),
        ("conv4", ("add1",), ("parallel1", "branch 1")),
        ("maxpool1", ("add1",), ("parallel1", "branch 3")),
        ("concatenate1", ("conv4", "add1", "maxpool1"), ("parallel1",)),
        ("conv5", ("concatenate1",), ("parallel2", "branch 1")),
        ("maxpool2", ("concatenate1",), ("parallel2", "branch 3")),
        ("concatenate2", ("conv5", "concatenate1", "maxpool2"), ("parallel2",)),
        ("globalavgpool1", ("concatenate2",), ()),
        ("dense1", ("globalavgpool1",), ()),
    ]
    rows = {row.name: row for row in summary.layers}
    assert rows["add1"].word == "add, then relu"
    assert rows["concatenate1"].output_shape == (12, 10, 2 + 4 + 4)
    assert rows["concatenate2"].output_shape == (12, 10, 2 + 10 + 10)
    assert rows["add1"].flops == 12 * 10 * 4
    assert rows["conv3"].parameters == 4 * 4
    assert not summary.is_chain
    assert summary.activation_bytes == 4 * sum(math.prod(row.output_shape) for row in summary.layers)


def test_repeat_is_the_same_as_writing_it_out():
    conv = "conv 4 3x3 relu padding=same"
    written, repeated = network_of(conv, conv, conv), network_of({"repeat": 3, "layers": [conv]})
    assert written.summary == repeated.summary
    assert written.summary.is_chain
    images = images_of()
    assert torch.equal(written(images), repeated(images))


def test_kernels_do_not_depend_on_the_blocks_around_them():
    chain = network_of("conv 4 3x3 padding=same", "conv 4 3x3 padding=same")
    block = network_of("conv 4 3x3 padding=same", {"residual": ["conv 4 3x3 padding=same", "batchnorm", "dropout 0.2"]})
    for name, values in chain.state_dict().items():
        assert torch.equal(values, block.state_dict()[name]), name
    assert not torch.equal(block.conv1.kernel, block.conv2.kernel)


def test_a_layer_does_not_overwrite_what_another_path_reads():
    """relu overwrites what it gets where nobody else reads it; an input that a shortcut needs is not that."""
    network = network_of({"residual": ["relu", {"residual": ["relu"]}, "dropout 0"], "shortcut": []}).eval()
    images = images_of()
    kept = images.clone()
    expected = network.dense1((3 * images.relu() - images.relu() + images).mean((2, 3)))
    torch.testing.assert_close(network(images), expected)
    assert torch.equal(images, kept)


def test_dropout_inside_blocks_follows_the_step_and_its_ordinal():
    network = network_of({"residual": ["dropout 0.5"], "shortcut": ["spatialdropout 0.25"]}, "dropout 0.1", seed=5)
    assert [module.ordinal for module in network.children() if hasattr(module, "ordinal")] == [0, 1, 2]
    network.set_step(3)
    images = images_of()
    mask = dropout(torch.ones(3, 4), Streams(5).key("dropout", 1, 3), 0.25)
    assert mask.unique().tolist() == pytest.approx([0, 1 / 0.75])
    torch.testing.assert_close(network.spatialdropout1(images), images * mask[:, :, None, None])
    first = network(images)
    assert torch.equal(network(images), first)
    network.set_step(4)
    assert not torch.equal(network(images), first)
    network.eval()
    torch.testing.assert_close(network.spatialdropout1(images), images)


def test_gradients_of_branches_against_finite_differences():
    lines = [
        {"residual": ["depthwise 3x3 padding=same", "groupnorm 2"], "shortcut": ["conv 4 1x1"], "activation": "silu"},
        {"parallel": [["separable 3 3x3 tanh"], ["avgpool 3 stride=1", "layernorm", "conv 2 1x2 padding=same"]]},
    ]  # fmt: skip
    network = network_of(*lines, shape=(4, 5, 4)).double()
    names = [name for name, _ in network.named_parameters()]

    def loss(images, *values):
        return torch.func.functional_call(network, dict(zip(names, values, strict=True)), (images,))

    values = [value.detach().clone().requires_grad_() for value in network.parameters()]
    images = images_of(2, (4, 5, 4)).double().requires_grad_()
    assert torch.autograd.gradcheck(loss, (images, *values))


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            ["conv 8 3x3", {"residual": ["conv 16 3x3 padding=same stride=2"]}],
            "layers[1]: residual1 adds its layers' 5 x 4 x 16 to its input's 10 x 8 x 8; "
            'add shortcut = ["conv 16 1x1 stride=2"].',
        ),
        (
            [{"residual": ["conv 6 3x3 padding=same"]}],
            "layers[0]: residual1 adds its layers' 12 x 10 x 6 to its input's 12 x 10 x 4; "
            'add shortcut = ["conv 6 1x1"].',
        ),
        (
            [{"residual": ["conv 4 3x3"], "shortcut": ["conv 4 1x1"]}],
            "layers[0]: residual1 adds its layers' 10 x 8 x 4 to its shortcut's 12 x 10 x 4; "
            "the shapes must be equal: match strides, padding and filters.",
        ),
        (
            [{"parallel": [["conv 3 3x3"], ["conv 3 5x5"]]}],
            "layers[0]: parallel1 concatenates 10 x 8 x 3 and 8 x 6 x 3, whose heights and widths must be equal; "
            "use padding=same and equal strides, and flatten all or none.",
        ),
        (
            [{"parallel": [["conv 3 1x1"], ["conv 5 1x1"]], "join": "add"}],
            "layers[0]: parallel1 adds 12 x 10 x 3 and 12 x 10 x 5, which must be equal; "
            "match rows, columns and channels.",
        ),
        (
            [{"repeat": 9, "layers": ["conv 3 3x3"]}],
            'layers[0].layers[0]: conv5 ("conv 3 3x3") has a 3 x 3 kernel for an input of 4 x 2 x 3; '
            "use a smaller kernel, padding=same or less pooling before it.",
        ),
        (
            [{"residual": ["conv 3 1x1 softmax"], "shortcut": ["conv 3 1x1"]}],
            'layers[0].residual[0]: conv1 ("conv 3 1x1 softmax") has a softmax in the middle of the network; '
            "use relu; softmax is for the last dense layer.",
        ),
        (
            [{"residual": ["relu"], "activation": "softmax"}],
            'layers[0]: residual1 ("add, then softmax") has a softmax in the middle of the network; '
            "use relu; softmax is for the last dense layer.",
        ),
        (
            [{"residual": ["relu"], "activation": "rellu"}],
            'layers[0].activation: "rellu" is no activation; did you mean "relu"?',
        ),
        ([{"parallel": [["relu"], []], "join": "ad"}], 'layers[0].join: "ad" is no join; did you mean "add"?'),
        (
            [{"repeat": 10**9, "layers": ["relu"]}],
            "layers[0].repeat: got 1000000000; give a whole number from 1 to 1,000.",
        ),
        (
            [{"repeat": 900, "layers": [{"repeat": 900, "layers": ["relu"]}]}],
            "layers: the network would have 810,002 layers; repeat less: 1,000 are the most.",
        ),
        (
            [{"repeat": "{depth}", "layers": ["relu"]}],
            'layers[0].repeat: "{depth}" stands where a whole number, 1 or more belongs; '
            "add depth to [factors] or give the value.",
        ),
        (
            [{"parallel": ["{branch}", []]}],
            'layers[0].parallel[0]: "{branch}" stands where a branch, a list of layers, belongs; '
            "add branch to [factors] or give the value.",
        ),
        (
            [{"residual": ["relu", "konv 3 3x3"]}],
            'layers[0].residual[1]: "konv 3 3x3": "konv" is no layer; did you mean "conv"?',
        ),
    ],
)
def test_a_block_that_cannot_be_is_refused_in_one_sentence(lines, sentence):
    assert problems_of(*lines) == [sentence]


def test_a_network_does_not_end_in_a_block():
    with pytest.raises(SpecError, match=r'residual1 \("add"\) is the last layer; end with "dense classes softmax"'):
        summarize(parse(["flatten", "dense classes", {"residual": ["relu"]}]), SHAPE, 5)
    repeated = [{"repeat": 2, "layers": ["dense classes softmax"]}]
    with pytest.raises(SpecError, match="softmax in the middle"):
        summarize(parse(["flatten", *repeated]), SHAPE, 5)


PADDING = st.sampled_from(["", " padding=same"])
SIDES = st.integers(1, 4)


@st.composite
def words(draw):
    size, stride, dilation = draw(SIDES), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    moved = f"{draw(PADDING)} stride={stride}" + (f" dilation={dilation}" if stride == 1 else "")
    kernel = f"{size}x{draw(SIDES)} {draw(st.sampled_from(['relu', 'silu', 'linear']))}{moved}"
    filters, bias = draw(st.sampled_from([2, 4, 6])), draw(st.sampled_from(["", " bias=false"]))
    return draw(
        st.sampled_from(
            [
                *[f"conv {filters} {kernel}{bias}", f"conv {filters} {kernel} groups=2{bias}"],
                *[f"depthwise {kernel}{bias}", f"separable {filters} {kernel}{bias}"],
                *[f"depthwise {kernel} multiplier=2", f"separable 2 {kernel} multiplier=3"],
                *[f"{kind} {size} stride={stride}{draw(PADDING)}" for kind in ("maxpool", "avgpool")],
                *["batchnorm", "layernorm", "groupnorm 2", "instancenorm", "dropout 0.2", "spatialdropout 0.2", "gelu"],
            ]
        )
    )  # fmt: skip


KEEPS_SHAPE = st.sampled_from(
    [*(f"{word} padding=same" for word in ("conv 4 3x3", "separable 4 1x3")), "batchnorm", "relu"]
)


def blocks(inner):
    lines = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.builds(lambda body: {"residual": [*body, "conv 4 1x1"], "shortcut": [*body[:1], "conv 4 1x1"]}, lines),
        st.lists(KEEPS_SHAPE, min_size=1, max_size=2).map(
            lambda body: {"repeat": 2, "layers": ["conv 4 1x1", {"residual": body}]}
        ),
        st.builds(lambda body: {"parallel": [body, [*body, "relu"], [*body, "conv 3 1x1"]]}, lines),
        st.builds(lambda body: {"repeat": 2, "layers": body}, lines),
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(st.recursive(words(), blocks, max_leaves=6), min_size=1, max_size=5), st.booleans())
def test_what_is_said_of_a_random_network_is_so(lines, is_flat):
    """Shapes, parameters, and the FLOPs of everything that multiplies matrices, against the network built and run."""
    end = ["flatten", "dense 6 relu"] if is_flat else ["globalmaxpool"]
    try:
        summary = summarize(parse([*lines, *end, "dense classes softmax"]), SHAPE, 5)
    except SpecError:
        assume(False)
    network = build(parse([*lines, *end, "dense classes softmax"]), SHAPE, 5, Streams(0))
    found = {}
    for name, module in network.named_children():
        module.register_forward_hook(lambda _, __, output, name=name: found.update({name: output.shape[1:]}))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(images_of(1))
    for row in summary.layers:
        *sides, channels = row.output_shape
        assert found[row.name] == (channels, *sides), row.name
        module = network.get_submodule(row.name)
        assert sum(values.numel() for values in module.parameters()) == row.trainable
        assert sum(values.numel() for values in module.buffers()) == row.non_trainable
    kinds = ("conv", "depthwise", "separable", "dense")
    assert counter.get_total_flops() == sum(row.flops for row in summary.layers if row.name.startswith(kinds))


FIELDS = [
    ["conv 2 3x3", "maxpool 2", "conv 2 3x2 dilation=2", "relu"],
    ["conv 2 4x3 padding=same stride=2", "avgpool 3 stride=1 padding=same", "depthwise 2x3 padding=same"],
    ["separable 2 3x3", "maxpool 3 stride=2 padding=same", "batchnorm", "conv 2 3x1 stride=3"],
    [{"residual": ["conv 4 2x2 padding=same", "conv 4 2x2 padding=same"], "shortcut": ["conv 4 3x3 padding=same"]}],
    [{"parallel": [["conv 2 1x1"], ["conv 2 3x5 padding=same"], ["maxpool 2 stride=1 padding=same"]]}, "conv 2 2x2"],
    [{"repeat": 2, "layers": [{"residual": ["conv 4 3x3 padding=same dilation=2", "layernorm"]}]}, "maxpool 2"],
    ["conv 2 3x3", "groupnorm 1", "conv 2 2x2"],
    ["maxpool 2", "zeropad 0+1x2+1", "conv 2 2x3", "zeropad 2x1", "conv 2 3x2 stride=2"],
]


@pytest.mark.parametrize("lines", FIELDS, ids=str)
def test_receptive_fields_are_what_a_changed_pixel_changes(lines):
    height, width, channels = shape = (15, 17, 4)
    network = network_of(*lines, shape=shape).double().eval()
    with torch.no_grad():
        for name, values in network.named_parameters():
            if "kernel" in name:
                values.abs_()  # what grows in the input may not cancel out
    row = network.summary.layers[-3]
    seen = {}
    network.get_submodule(row.name).register_forward_hook(lambda _, __, output: seen.update(values=output))
    base = torch.rand(1, channels, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) / 100
    images = base.repeat(height * width + 1, 1, 1, 1)
    pixels = torch.arange(height * width)
    images[pixels, 0, pixels // width, pixels % width] += 1
    with torch.no_grad():
        network(images)
    changed = (
        ((seen["values"][:-1] - seen["values"][-1:]).abs() > 1e-12).any(1).reshape(height, width, *row.output_shape[:2])
    )
    field, num_whole = row.receptive_field, 0
    for axis, side, other, place in ((field.rows, height, 1, 2), (field.columns, width, 0, 3)):
        hits = changed.any(other).movedim(1 if place == 2 else 2, 1).any(2)  # pixels x positions of this axis
        for position in range(row.output_shape[place - 2]):
            (touched,) = torch.nonzero(hits[:, position], as_tuple=True)
            first, last = axis.start + position * axis.stride, axis.start + position * axis.stride + axis.size - 1
            assert max(first, 0) <= touched.min()
            assert touched.max() <= min(last, side - 1)
            if (first >= 0 and last < side) or axis.size >= side:
                assert (touched.min(), touched.max()) == (max(first, 0), min(last, side - 1))
                num_whole += 1
    assert num_whole >= 2


def test_receptive_fields_by_hand():
    summary = summarize(
        parse(["conv 4 3x3", "maxpool 2", "conv 4 3x3", "groupnorm 1", "flatten", "dense classes softmax"]), SHAPE, 5
    )
    assert [(row.receptive_field.size, row.receptive_field.stride) for row in summary.layers] == [
        ((3, 3), (1, 1)), ((4, 4), (2, 2)), ((8, 8), (2, 2)), ((12, 10), (0, 0)), ((12, 10), None), ((12, 10), None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "flops"),
    [
        ("conv 6 3x3 groups=2", 2 * 9 * 2 * 10 * 8 * 6),
        ("depthwise 3x2 multiplier=2", 2 * 6 * 10 * 9 * 8),
        ("separable 5 3x3", 2 * 9 * 10 * 8 * 4 + 2 * 4 * 10 * 8 * 5),
        ("batchnorm", 2 * 12 * 10 * 4),
        ("groupnorm 2", 6 * 12 * 10 * 4),
        ("layernorm", 6 * 12 * 10 * 4),
        ("maxpool 2", 0),
        ("avgpool 3 stride=2", 9 * 5 * 4 * 4),
        ("gelu", 0),
        ("spatialdropout 0.5", 0),
    ],
)
def test_flops_by_hand(word, flops):
    summary = summarize(parse([word, *END]), SHAPE, 5)
    first, mean, last = summary.layers
    assert first.flops == flops
    assert mean.flops == math.prod(first.output_shape)
    assert last.flops == 2 * first.output_shape[2] * 5


def test_objects_are_as_good_as_tables():
    import assay

    made = [assay.Residual(residual=["conv 4 3x3 padding=same"]), assay.Repeat(repeat=2, layers=["relu"])]
    tables = [{"residual": ["conv 4 3x3 padding=same"]}, {"repeat": 2, "layers": ["relu"]}]
    assert parse(made) == parse(tables)
    assert isinstance(parse(made)[0].layers[0], Conv)
