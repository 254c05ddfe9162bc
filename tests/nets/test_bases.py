"""Bases in our layer words are Keras's and torchvision's networks; their files are read as arrays and nothing else."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from assay.errors import DataError, SpecError
from assay.nets import summary_of
from assay.nets.bases import DEFINITIONS
from assay.nets.bases.files import read_weights
from assay.nets.build import Network
from assay.seeds import Streams
from assay.spec import Arm, Base

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")

HEAD = ["flatten", "dense classes softmax"]
A = ["flatten", "dense 128 relu", "batchnorm", "dropout 0.5", "dense classes softmax"]
D = ["flatten", "dropout 0.125", "dense 64 relu", "dropout 0.25", "dense classes softmax"]


def arm(layers: list[str] = HEAD, **base: Any) -> Arm:
    return Arm(name="arm", layers=layers, base={"size": 32, **base})


def base_rows(made: Arm) -> list[Any]:
    return [row for row in summary_of(made, (28, 28, 1), 10).layers if row.block]


def network_with(made: Arm, path: Path) -> Network:
    network = Network(summary_of(made, (28, 28, 1), 10), Streams(0))
    state = network.state_dict()
    for name, values in read_weights(path, made.base, base_rows(made)).items():
        state[name].copy_(torch.from_numpy(values))
    return network.eval()


def save_as_published(model: Any, path: Path) -> None:
    """In the layout of the files that Keras publishes: a group a layer, arrays listed in ``weight_names``."""
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


def with_made_up_numbers(model: Any) -> Any:
    rng = np.random.default_rng(7)
    for layer in model.layers:
        values = []
        for variable in layer.weights:
            shape = tuple(variable.shape)
            if "kernel" in variable.name:
                fan_in = np.prod(shape[:2]) * (1 if "depthwise" in variable.name else shape[2])
                values.append(rng.normal(0, np.sqrt(2 / fan_in), shape))
            else:
                values.append(
                    rng.uniform(0.5, 1.5, shape) if "bias" not in variable.name else rng.normal(0, 0.1, shape)
                )
        layer.set_weights(values)
    return model


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on torch, saving
@pytest.mark.parametrize(("name", "size"), [("vgg16", 32), ("vgg19", 32), ("mobilenetv2", 33)])
def test_a_base_computes_what_keras_application_does(name: str, size: int, tmp_path: Path) -> None:
    kinds = {"vgg16": "VGG16", "vgg19": "VGG19", "mobilenetv2": "MobileNetV2"}
    make = getattr(keras.applications, kinds[name])
    model = with_made_up_numbers(make(weights=None, include_top=False, input_shape=(size, size, 3)))
    save_as_published(model, tmp_path / "w.h5")
    network = network_with(arm(name=name, weights=str(tmp_path / "w.h5"), size=size), tmp_path / "w.h5")
    images = np.random.default_rng(1).uniform(-2, 2, (2, size, size, 3)).astype(np.float32)
    theirs = model(images, training=False).detach().numpy()
    with torch.no_grad():
        ours = network.features(torch.from_numpy(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())
    assert model.count_params() == sum(row.parameters for row in network.summary.layers if row.block)


def test_preprocessing_is_that_of_keras() -> None:
    from assay.train.prepared import Prepared

    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    for name, mode in (("caffe", "caffe"), ("torch", "torch"), ("tf", "tf")):
        made = arm(name="vgg16", preprocessing=name)
        prepared = Prepared(summary_of(made, (32, 32, 3), 10).base.preparation)
        ours = prepared.apply(images, np.arange(3)).permute(0, 2, 3, 1).numpy()
        theirs = keras.applications.imagenet_utils.preprocess_input(images.astype(np.float32), mode=mode)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4)


def test_grey_images_are_repeated_and_resized_as_keras_does() -> None:
    from assay.train.prepared import Prepared

    images = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 1), dtype=np.uint8)
    prepared = Prepared(summary_of(arm(name="vgg16", preprocessing="none"), (28, 28, 1), 10).base.preparation)
    ours = prepared.apply(images, np.arange(2)).permute(0, 2, 3, 1).numpy()
    theirs = keras.ops.image.resize(np.repeat(images, 3, 3).astype(np.float32), (32, 32)).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-3)
    as_floats = prepared.apply((images / np.float32(255)).astype(np.float32), np.arange(2)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(as_floats, ours, atol=1e-3)


@pytest.mark.parametrize(("layers", "total", "trainable"), [(A, 14_782_154, 67_210), (D, 14_748_170, 33_482)])
def test_parameters_are_those_that_the_documents_count(layers: list[str], total: int, trainable: int) -> None:
    summary = summary_of(arm(layers, name="vgg16"), (28, 28, 1), 10)
    assert (summary.parameters, summary.trainable) == (total, trainable)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("vgg16", 14_714_688), ("vgg19", 20_024_384), ("squeezenet", 722_496), ("resnet18", 11_186_112),
     ("mobilenetv2", 2_257_984)],
)  # fmt: skip
def test_parameters_are_the_published_ones(name: str, parameters: int) -> None:
    for layout in DEFINITIONS[name].layouts:
        rows = base_rows(arm(name=name, weights={"keras": "w.h5", "torch": "w.pth"}[layout]))
        assert sum(row.parameters for row in rows) == parameters
        assert len(DEFINITIONS[name].keys[layout]()) == sum(row.parameters > 0 for row in rows)


def test_the_published_vgg16_file_is_read_array_by_array(tmp_path: Path) -> None:
    """The names and shapes of vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5, 14,714,688 made-up numbers."""
    path, rng, written = tmp_path / "vgg16.h5", np.random.default_rng(0), {}
    keys = DEFINITIONS["vgg16"].keys["keras"]()
    widths = [64, 64, 128, 128, *[256] * 3, *[512] * 6]
    with h5py.File(path, "w") as file:
        pools = [f"block{block}_pool" for block in range(1, 6)]
        file.attrs["layer_names"] = [name.encode() for name in ("input_1", *sorted([*keys, *pools]))]
        for name in ("input_1", *pools):
            file.create_group(name).attrs["weight_names"] = []
        inputs = 3
        for key, width in zip(keys, widths, strict=True):
            names = [f"{key}_W_1:0", f"{key}_b_1:0"]
            group = file.create_group(key)
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, shape in zip(names, ((3, 3, inputs, width), (width,)), strict=True):
                written[name] = group[name] = rng.standard_normal(shape, dtype=np.float32)
                written[name] = group[name][()]
            inputs = width
    made = arm(name="vgg16", weights=str(path))
    found = read_weights(path, made.base, base_rows(made))
    assert sum(values.size for values in found.values()) == 14_714_688
    for place, key in enumerate(keys, start=1):
        kernel = found[f"base_conv{place}.kernel"]
        np.testing.assert_array_equal(kernel.transpose(2, 3, 1, 0), written[f"{key}_W_1:0"])
        np.testing.assert_array_equal(found[f"base_conv{place}.bias"], written[f"{key}_b_1:0"])


def torch_state(name: str) -> dict[str, torch.Tensor]:
    """A torchvision state dictionary of a base: its names, its shapes, made-up numbers, and a dense layer behind."""
    generator = torch.Generator().manual_seed(0)
    state: dict[str, torch.Tensor] = {}
    rows = [row for row in base_rows(arm(name=name, weights="w.pth")) if row.parameters]
    for row, key in zip(rows, DEFINITIONS[name].keys["torch"](), strict=True):
        channels = row.output_shape[-1]
        if row.name.startswith("base_batchnorm"):
            for part in ("weight", "bias", "running_mean", "running_var"):
                state[f"{key}.{part}"] = torch.rand(channels, generator=generator) + 0.5
            state[f"{key}.num_batches_tracked"] = torch.tensor(7)
            continue
        groups = 1 if "depthwise" not in row.name else row.input_shape[-1]
        shape = (channels, row.input_shape[-1] // groups, *row.layer.kernel)
        state[f"{key}.weight"] = torch.randn(shape, generator=generator) * (2 / np.prod(shape[1:])) ** 0.5
        if row.layer.bias:
            state[f"{key}.bias"] = torch.randn(channels, generator=generator)
    return {**state, "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


def resnet18_by_hand(state: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """He et al.'s network in torch's functions, with torchvision's strides, padding and constants."""
    from torch.nn import functional as f

    def conv(values: torch.Tensor, key: str, stride: int = 1, padding: int = 0) -> torch.Tensor:
        return f.conv2d(values, state[f"{key}.weight"], stride=stride, padding=padding)

    def norm(values: torch.Tensor, key: str) -> torch.Tensor:
        mean, variance = state[f"{key}.running_mean"], state[f"{key}.running_var"]
        return f.batch_norm(values, mean, variance, state[f"{key}.weight"], state[f"{key}.bias"], eps=1e-5)

    values = f.max_pool2d(f.relu(norm(conv(images, "conv1", 2, 3), "bn1")), 3, 2, 1)
    for stage in range(1, 5):
        for unit in range(2):
            key, stride = f"layer{stage}.{unit}", 2 if stage > 1 and unit == 0 else 1
            other = values
            if stride == 2:
                other = norm(conv(values, f"{key}.downsample.0", 2), f"{key}.downsample.1")
            main = f.relu(norm(conv(values, f"{key}.conv1", stride, 1), f"{key}.bn1"))
            values = f.relu(norm(conv(main, f"{key}.conv2", 1, 1), f"{key}.bn2") + other)
    return values


def test_resnet18_computes_what_torchvisions_does(tmp_path: Path) -> None:
    path, state = tmp_path / "resnet18.pth", torch_state("resnet18")
    torch.save(state, path)
    network = network_with(arm(name="resnet18", weights=str(path), size=37), path)
    images = torch.randn(2, 3, 37, 37, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        theirs = resnet18_by_hand(state, images)
        torch.testing.assert_close(network.features(images), theirs, rtol=1e-4, atol=1e-4 * theirs.abs().max().item())


def test_a_file_may_end_where_the_base_is_cut(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = {"block1_conv1": (3, 64), "block1_conv2": (64, 64)}
    arrays = {f"{key}_kernel": rng.random((3, 3, *shape)) for key, shape in shapes.items()}
    arrays |= {f"{key}_bias": rng.random(64) for key in shapes}
    np.savez(tmp_path / "w.npz", **arrays)
    made = arm(name="vgg16", weights="w.npz", until="block1")
    found = read_weights(tmp_path / "w.npz", made.base, base_rows(made))
    np.testing.assert_allclose(
        found["base_conv1.kernel"].transpose(2, 3, 1, 0), arrays["block1_conv1_kernel"], rtol=1e-6
    )
    longer = arm(name="vgg16", weights="w.npz", until="block2")
    with pytest.raises(DataError, match="lacks layer block2_conv1 and 1 more of VGG16"):
        read_weights(tmp_path / "w.npz", longer.base, base_rows(longer))


def test_the_real_squeezenet_is_read_and_sees_edges(real_data: Path) -> None:
    path = real_data / "weights" / "squeezenet11_notop_tf.h5"
    if not path.exists():
        pytest.skip("the SqueezeNet file is not in ASSAY_DATA")
    network = network_with(arm(name="squeezenet", weights=str(path), size=64), path)
    with h5py.File(path) as file:
        for layer, place in (("conv1", 1), ("fire9/expand3x3", 25)):
            kernel = (
                next(values for name, values in file[layer].items() if values.ndim == 4) if layer == "conv1" else None
            )
            if kernel is not None:
                ours = network.get_submodule(f"base_conv{place}").kernel.detach().numpy()
                np.testing.assert_array_equal(ours.transpose(2, 3, 1, 0), kernel[()])
    assert torch.isfinite(network.features(torch.zeros(1, 3, 64, 64))).all()


class Trap:
    """Unpickling it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_a_pickle_that_is_more_than_arrays_is_refused_and_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "evil.pth", tmp_path / "ran"
    torch.save({"features.0.weight": Trap(trace)}, path)
    made = arm(name="vgg16", weights=str(path))
    with pytest.raises(DataError, match="no file of plain arrays, and nothing in it was run"):
        read_weights(path, made.base, base_rows(made))
    path.write_bytes(pickle.dumps(Trap(trace)))
    with pytest.raises(DataError, match="nothing in it was run"):
        read_weights(path, made.base, base_rows(made))
    np.savez(tmp_path / "evil.npz", block1_conv1_kernel=np.array([Trap(trace)], dtype=object))
    npz = arm(name="vgg16", weights="evil.npz")
    with pytest.raises(DataError, match=r"no \.npz of plain arrays"):
        read_weights(tmp_path / "evil.npz", npz.base, base_rows(npz))
    assert not trace.exists()


def broken_h5(path: Path, kind: str) -> None:
    with h5py.File(path, "w") as file:
        if kind == "layout":
            file.create_group("layers")
            return
        file.attrs["layer_names"] = [b"block1_conv1"] + ([b"block1_conv2"] if kind != "short" else [])
        if kind != "short":
            second = file.create_group("block1_conv2")
            second.attrs["weight_names"] = [b"block1_conv2_W_1:0", b"block1_conv2_b_1:0"]
            second["block1_conv2_W_1:0"], second["block1_conv2_b_1:0"] = np.zeros((3, 3, 64, 64)), np.zeros(64)
        group = file.create_group("block1_conv1")
        group.attrs["weight_names"] = [b"block1_conv1_W_1:0", b"block1_conv1_b_1:0"]
        shape = (64, 3, 3, 3) if kind == "shape" else (3, 3, 3, 64)
        group["block1_conv1_W_1:0"] = np.zeros(shape, "int32" if kind == "type" else "f4")
        if kind == "link":
            group["block1_conv1_b_1:0"] = h5py.ExternalLink("/etc/passwd", "/b")
        elif kind != "missing":
            group["block1_conv1_b_1:0"] = np.full(64, np.nan if kind == "nan" else 0, "f4")


@pytest.mark.parametrize("place", ["model_weights", "block1_conv1", "block1_conv1/inner", "block1_conv1/inner/b:0"])
@pytest.mark.parametrize("kind", ["external", "soft"])
def test_no_link_of_an_h5_file_is_followed(kind: str, place: str, tmp_path: Path) -> None:
    """Each file would be read without a word if its link were followed."""

    def filled(group: Any) -> None:
        group.attrs["layer_names"] = ["block1_conv1"]
        layer = group.create_group("block1_conv1")
        layer.attrs["weight_names"] = ["inner/W:0", "inner/b:0"]
        layer["inner/W:0"], layer["inner/b:0"] = np.zeros((3, 3, 3, 64), "f4"), np.zeros(64, "f4")

    base = Base(name="vgg16", weights=str(tmp_path / "w.h5"), until="block1")
    rows = base_rows(arm(name="vgg16", weights=base.weights, until="block1"))[:1]
    with h5py.File(tmp_path / "other.h5", "w") as other:
        filled(other.create_group("model_weights"))
    with h5py.File(tmp_path / "w.h5", "w") as file:
        filled(file.create_group("model_weights"))
        file.copy(file["model_weights"], "elsewhere")
    assert read_weights(tmp_path / "w.h5", base, rows)
    inner = place if place == "model_weights" else f"model_weights/{place}"
    with h5py.File(tmp_path / "w.h5", "a") as file:
        del file[inner]
        target = inner.replace("model_weights", "/elsewhere")
        file[inner] = h5py.SoftLink(target) if kind == "soft" else h5py.ExternalLink(str(tmp_path / "other.h5"), inner)
    with pytest.raises(DataError, match="is a link to another place, which is never followed"):
        read_weights(tmp_path / "w.h5", base, rows)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("shape", "kernel of layer block1_conv1 has the shape 64 x 3 x 3 x 3 where 3 x 3 x 3 x 64 belongs"),
        ("layout", "it has no layer_names: Keras 3 wrote it with save_weights"),
        ("type", "is int32 3 x 3 x 3 x 64, no array of weights"),
        ("missing", "its HDF5 content is damaged"),
        ("link", "block1_conv1_b_1:0 is a link to another place, which is never followed"),
        ("nan", "bias of layer block1_conv1 holds values that are no finite numbers"),
        ("short", "lacks layer block1_conv2"),
    ],
)
def test_a_wrong_h5_file_is_told_in_one_sentence(kind: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    broken_h5(path, kind)
    made = arm(name="vgg16", weights=str(path), until="block1")
    with pytest.raises(DataError) as caught:
        read_weights(path, made.base, base_rows(made))
    assert len(caught.value.problems) == 1
    assert told in str(caught.value)
    path.write_bytes(b"no HDF5")
    with pytest.raises(DataError, match="it is no HDF5 file"):
        read_weights(path, made.base, base_rows(made))


@pytest.mark.parametrize(
    ("base", "image", "told"),
    [
        ({"name": "vgg61"}, (28, 28, 1), 'base.name: "vgg61" is no base; did you mean "vgg19"?'),
        ({"name": "vgg16", "until": "block6"}, (32, 32, 3), "its blocks are block1, block2, block3, block4, block5."),
        (
            {"name": "vgg16"},
            (28, 28, 1),
            "images of 28 x 28 are smaller than the 32 x 32 that VGG16 needs until block5",
        ),
        ({"name": "vgg16", "until": "block4"}, (15, 40, 1), "smaller than the 16 x 16 that VGG16 needs until block4"),
        ({"name": "squeezenet"}, (28, 28, 1), "smaller than the 31 x 31 that SqueezeNet 1.1 needs until block5"),
        ({"name": "vgg16", "repeat": False}, (32, 32, 1), "images are grey, and VGG16 sees 3 channels"),
        ({"name": "squeezenet", "weights": "w.pth"}, (32, 32, 3), "SqueezeNet 1.1 is not read from .pth files"),
        ({"name": "vgg16", "weights": "imagnet"}, (32, 32, 3), '"imagnet" names no weights'),
        ({"name": "vgg16", "learning_rate_scale": {"block7": 0.1}}, (32, 32, 3), 'the base has no block "block7"'),
    ],
)
def test_what_does_not_fit_is_told_in_one_sentence(base: dict[str, Any], image: Any, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        summary_of(Arm(name="arm", layers=HEAD, base=base), image, 10)
    assert len(caught.value.problems) == 1
    assert told in str(caught.value)


def test_a_base_is_a_frozen_spec_with_every_problem_told() -> None:
    assert Base(name="vgg16", train="last 2 blocks", unfreeze={3: "all"}).first_epochs(5) == (3, 3, 3, 1, 1)
    for wrong, told in [
        ({"name": "vgg16", "train": "some"}, 'got "some"; give "none", "all" or such as "last 2 blocks"'),
        ({}, "the base has no name"),
        ({"name": "vgg16", "weights": "run:abcd"}, "a run brings its own network"),
        ({"name": "vgg16", "train": "all", "unfreeze": {"2": "last 1 block"}}, "unfreeze opens no more"),
        ({"name": "vgg16", "train": "all", "copies": 3}, "3 copies are for a base that stays frozen"),
    ]:
        with pytest.raises(SpecError) as caught:
            Base.of(wrong)
        assert told in str(caught.value)
