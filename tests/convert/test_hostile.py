"""``.keras`` files that were built to harm: refused, and nothing in them is run, followed or unpacked."""

from __future__ import annotations

import io
import json
import os
import pickle
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import assay
from assay.errors import DataError, InputError, SpecError

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, on saving


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The members of an honest file."""
    layers = keras.layers
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(3, activation="softmax")])
    path = tmp_path_factory.mktemp("honest") / "model.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path: Path, parts: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def with_config(parts: dict[str, bytes], change: Callable[[dict[str, Any]], None]) -> dict[str, bytes]:
    config = json.loads(parts["config.json"])
    change(config)
    return {**parts, "config.json": json.dumps(config).encode()}


def layer(config: dict[str, Any], number: int = 2) -> dict[str, Any]:
    found: dict[str, Any] = config["config"]["layers"][number]
    return found


def test_an_honest_file_is_read(parts: dict[str, bytes], tmp_path: Path) -> None:
    found = assay.from_keras(written(tmp_path / "model.keras", parts))
    assert list(found.network.layers) == ["flatten", "dense classes softmax"]
    assert set(found.weights) == {"dense1.kernel", "dense1.bias"}


def as_lambda(config: dict[str, Any]) -> None:
    layer(config).update(
        class_name="Lambda",
        config={
            "name": "evil",
            "function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None}},
        },
    )


CONFIGS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a lambda": (as_lambda, "evil: Lambda: it holds code, which is never run"),
    "a module": (lambda c: layer(c).update(module="os", class_name="system"), "'os.system' is no layer of Keras's own"),
    "a module that looks like Keras's": (lambda c: layer(c).update(module="keras_evil.layers"), "no layer of Keras's"),
    "a registered class": (lambda c: layer(c).update(registered_name="evil>Dense"), "'evil>Dense' is no layer"),
    "an activation from a module": (
        lambda c: layer(c)["config"].update(
            activation={"module": "builtins", "class_name": "function", "config": "eval"}
        ),
        "its activation is",
    ),
    "a penalty from a module": (
        lambda c: layer(c)["config"].update(
            kernel_regularizer={"module": "os", "class_name": "system", "config": "ls"}
        ),
        "kernel_regularizer is",
    ),
    "a model of a custom class": (lambda c: c.update(module="evil", class_name="Sequential"), "of the class 'evil.Seq"),
    "a huge layer": (
        lambda c: layer(c)["config"].update(units=10**8),
        "the network would have 1,700,000,000 parameters",
    ),
    "a vast layer": (lambda c: layer(c)["config"].update(units=10**30), "units is 1000000"),
    "a vast image": (
        lambda c: layer(c, 0)["config"].update(batch_shape=[None, 10**9, 10**9, 1]),
        "would put out 1,000,000,000,000,000,000 values for each image",
    ),
    "not a number": (lambda c: layer(c)["config"].update(units=float("nan")), "units is nan"),
    "no layers": (lambda c: c["config"].update(layers="x"), "a 'Sequential' model|only Sequential"),
    "layers that are none": (lambda c: c["config"].update(layers=[1, 2]), "without a class or settings"),
    "very many layers": (lambda c: c["config"].update(layers=[layer(c)] * 5000), "too long"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_configurations(case: str, parts: dict[str, bytes], tmp_path: Path) -> None:
    change, told = CONFIGS[case]
    with pytest.raises(SpecError, match=told):
        assay.from_keras(written(tmp_path / "model.keras", with_config(parts, change)))


def deep(parts: dict[str, bytes], count: int) -> dict[str, bytes]:
    """Models in models, and JSON that no reader's stack holds."""
    if count > 1000:
        return {**parts, "config.json": b'{"a":' * count + b"1" + b"}" * count}

    def nest(config: dict[str, Any]) -> None:
        inner = json.loads(json.dumps(config))
        for _ in range(count):
            inner = {**config, "config": {**config["config"], "layers": [inner]}}
        config.update(inner)

    return with_config(parts, nest)


@pytest.mark.parametrize("count", [40, 200_000])
def test_depth(count: int, parts: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"too deep|no JSON"):
        assay.from_keras(written(tmp_path / "model.keras", deep(parts, count)))


def linked(path: Path, parts: dict[str, bytes]) -> None:
    written(path, parts)
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("assets/link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")


def doubled(path: Path, parts: dict[str, bytes]) -> None:
    written(path, parts)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", "{}")


def bomb(path: Path, parts: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * (1 << 25) + parts["config.json"])
        archive.writestr("model.weights.h5", parts["model.weights.h5"])


def lying(path: Path, parts: dict[str, bytes]) -> None:
    """The directory declares a member of four gigabytes."""
    written(path, parts)
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02", 0, content.rindex(b"model.weights.h5"))
    content[at + 24 : at + 28] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(bytes(content))


ARCHIVES: dict[str, tuple[Callable[[Path, dict[str, bytes]], Any], str]] = {
    "a path that leads out": (lambda path, parts: written(path, {**parts, "../../evil.py": b"x"}), "leads out"),
    "an absolute path": (lambda path, parts: written(path, {**parts, "/tmp/evil.py": b"x"}), "leads out"),
    "a path of another system": (lambda path, parts: written(path, {**parts, "..\\evil.py": b"x"}), "leads out"),
    "a link": (linked, "is a link"),
    "a name twice": (doubled, "twice"),
    "very many members": (
        lambda path, parts: written(path, {**parts, **{f"assets/{k}": b"" for k in range(2000)}}),
        "has 2,003 members",
    ),
    "a bomb": (bomb, "declares 33,5"),
    "a lie about its size": (lying, "declares 4,294,967,280 bytes|cannot hold|not as long|no intact"),
    "no archive": (lambda path, parts: path.write_bytes(pickle.dumps(print)), "no intact .keras file"),
    "nothing": (lambda path, parts: path.write_bytes(b""), "no intact .keras file"),
    "no configuration": (lambda path, parts: written(path, {"model.weights.h5": b""}), "it has no config.json"),
    "no weights": (lambda path, parts: written(path, {"config.json": parts["config.json"]}), "no model.weights.h5"),
    "half a file": (lambda path, parts: path.write_bytes(written(path, parts).read_bytes()[:-900]), "no intact"),
    "damaged weights": (
        lambda path, parts: written(path, {**parts, "model.weights.h5": parts["model.weights.h5"][:3000]}),
        "model.weights.h5 is damaged",
    ),
    "pickled weights": (
        lambda path, parts: written(path, {**parts, "model.weights.h5": pickle.dumps(print)}),
        "damaged",
    ),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_archives(case: str, parts: dict[str, bytes], tmp_path: Path) -> None:
    write, told = ARCHIVES[case]
    path = tmp_path / "model.keras"
    write(path, parts)
    with pytest.raises(DataError, match=told):
        assay.from_keras(path)
    assert [found.name for found in tmp_path.iterdir()] == ["model.keras"]


def changed_weights(parts: dict[str, bytes], change: Callable[[Any], None]) -> dict[str, bytes]:
    content = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(content, "r+") as opened:
        change(opened)
    return {**parts, "model.weights.h5": content.getvalue()}


PLACE = "layers/dense/vars/0"


def replaced(make: Callable[[Any], None]) -> Callable[[Any], None]:
    def change(opened: Any) -> None:
        del opened[PLACE]
        make(opened)

    return change


def external(opened: Any) -> None:
    opened.create_dataset(PLACE, (16, 3), "f4", external=[("/etc/passwd", 0, 192)])


def virtual(opened: Any) -> None:
    layout = h5py.VirtualLayout((16, 3), "f4")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "x", (16, 3))
    opened.create_virtual_dataset(PLACE, layout)


WEIGHTS: dict[str, tuple[Callable[[Any], None], str]] = {
    "a link to another file": (
        replaced(lambda opened: opened.__setitem__(PLACE, h5py.ExternalLink("/etc/other.h5", "/x"))),
        "link to another place, which is never followed",
    ),
    "a soft link": (replaced(lambda o: o.__setitem__(PLACE, h5py.SoftLink("/layers"))), "never followed"),
    "values in another file": (replaced(external), "no plain numbers in this file"),
    "values from other sets": (replaced(virtual), "no plain numbers in this file"),
    "a vast array": (
        replaced(lambda opened: opened.create_dataset(PLACE, (10**6, 10**6), "f4", chunks=(10, 10))),
        "weights of 16 x 3 are expected, and there are 1000000 x 1000000",
    ),
    "texts": (replaced(lambda opened: opened.create_dataset(PLACE, data=np.full((16, 3), b"x"))), "no plain numbers"),
    "objects": (
        replaced(lambda opened: opened.create_dataset(PLACE, (16, 3), h5py.special_dtype(vlen=bytes))),
        "no plain numbers",
    ),
    "a group": (replaced(lambda opened: opened.create_group(PLACE)), "no plain numbers"),
    "nothing": (replaced(lambda opened: None), "its weights are not in the file"),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_weights(case: str, parts: dict[str, bytes], tmp_path: Path) -> None:
    change, told = WEIGHTS[case]
    with pytest.raises(SpecError, match=told):
        assay.from_keras(written(tmp_path / "model.keras", changed_weights(parts, change)))


def test_an_array_that_the_file_does_not_hold(parts: dict[str, bytes], tmp_path: Path) -> None:
    """Its shape is as declared, its values were never stored: memory would be taken for nothing."""
    wide = with_config(parts, lambda config: layer(config)["config"].update(units=10**7))

    def change(opened: Any) -> None:
        del opened[PLACE]
        opened.create_dataset(PLACE, (16, 10**7), "f4", chunks=(16, 1000))

    with pytest.raises(SpecError, match="declare more than the file holds"):
        assay.from_keras(written(tmp_path / "model.keras", changed_weights(wide, change)))


def test_any_damaged_byte_is_an_error_of_ours_or_harmless(parts: dict[str, bytes], tmp_path: Path) -> None:
    content = written(tmp_path / "whole.keras", parts).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), 4):
            damaged[at] = rng.integers(256)
        (tmp_path / "model.keras").write_bytes(bytes(damaged))
        try:
            found = assay.from_keras(tmp_path / "model.keras")
        except InputError:
            continue
        assert found.weights["dense1.kernel"].shape[1] == 16
