"""Hostile files: study files, data sets, notebooks and model files. Each is read or refused in a sentence."""

from __future__ import annotations

import io
import json
import random
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .cases import NUMBERS, WEIRD, command, quiet_warnings, spoiled

SECONDS = 60.0

STUDY = """name = "x"
question = "q"
[data]
name = "digits"
validation = 0.25
[network]
layers = ["conv 8 3x3 relu", "maxpool 2", "flatten", "dropout {rate}", "dense classes softmax"]
[factors]
rate = [0.0, 0.5]
[training]
epochs = 3
batch_size = 32
optimizer = { name = "adam", learning_rate = 0.001 }
schedule = { name = "step", every = 2, factor = 0.5 }
augmentation = { shift = 1, rotation = 5, flip = "horizontal" }
early_stopping = { metric = "validation_loss", patience = 2 }
[seeds]
count = 3
"""
SEARCH = """question = "q"
[data]
name = "digits"
[network]
layers = ["flatten", "dense {units}", "dense classes softmax"]
[training]
epochs = 4
[search]
trials = 3
halving = { min_epochs = 1, max_epochs = 4, reduction = 2 }
[search.space]
units = { low = 4, high = 64, log = true }
"""
_WORDS = (
    "conv 8 3x3", "maxpool 2", "flatten", "dense 9", "dropout 0.5", "batchnorm", "residual", "repeat", "{rate}",
    "dense classes softmax", "padding=same", "stride=2", "relu", "globalavgpool", "layernorm", "zeropad 1",
)  # fmt: skip


def studies(rng: random.Random, folder: Path) -> None:
    """A study file with values, keys, lines or bytes exchanged: described or refused."""
    text = rng.choice((STUDY, SEARCH))
    for _ in range(rng.choice((1, 1, 2, 3))):
        lines = text.splitlines() or [""]
        place = rng.randrange(len(lines))
        match rng.randrange(6):
            case 0:
                key = lines[place].split(" = ")[0]
                lines[place] = f"{key} = {_value(rng)}"
            case 1:
                lines[place] = (
                    f"{rng.choice(('x', 'epochs', 'layers', 'arms', 'count', 'seeds', 'units'))} = {_value(rng)}"
                )
            case 2:
                lines[place:place] = [lines[rng.randrange(len(lines))]]
            case 3:
                del lines[place]
            case 4:
                layers = ", ".join(json.dumps(_layer(rng)) for _ in range(rng.randrange(6)))
                lines = [f"layers = [{layers}]" if line.startswith("layers") else line for line in lines]
            case _:
                lines = spoiled(rng, text.encode()).decode("utf-8", "replace").splitlines() or [""]
        text = "\n".join(lines)
    path = folder / "x.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    _timed("describe", str(path))


def _value(rng: random.Random) -> str:
    kind = rng.randrange(6)
    if kind == 0:
        return json.dumps(rng.choice(WEIRD))
    if kind == 1:
        return str(rng.choice(NUMBERS))
    if kind == 2:
        return "[" * rng.choice((1, 3, 70)) + str(rng.choice(NUMBERS)) + "]" * rng.choice((1, 3, 70))
    if kind == 3:
        return "{ name = " + json.dumps(rng.choice((*WEIRD, "adam", "step"))) + f", x = {rng.choice(NUMBERS)} }}"
    if kind == 4:
        return rng.choice(("true", "nan", "-inf", "1979-05-27", "''", "[]", "{}"))
    return json.dumps([rng.choice(WEIRD) for _ in range(rng.randrange(4))])


def _layer(rng: random.Random) -> object:
    words = " ".join(rng.choice((*_WORDS, *WEIRD, *map(str, NUMBERS))) for _ in range(rng.choice((1, 2, 3))))
    return rng.choice((words, rng.choice(_WORDS), rng.choice(_WORDS)))


def data(rng: random.Random, folder: Path) -> None:
    """A spoiled file or folder of images: read, asked about or refused."""
    name, content = rng.choice(tuple(_DATA.items()))
    path = folder / name
    path.write_bytes(spoiled(rng, content()))
    if rng.random() < 0.2:
        (folder / rng.choice(("a.txt", "labels.csv", "test.npy", ".hidden"))).write_bytes(rng.randbytes(100))
        path = folder
    _timed("data", "show", str(path))


def models(rng: random.Random, folder: Path) -> None:
    """A spoiled notebook, script or Keras file: converted or refused, and never run."""
    name, content = rng.choice(tuple(_MODELS.items()))
    path = folder / name
    path.write_bytes(spoiled(rng, content()))
    _timed("convert", str(path))
    assert not (Path.cwd() / "run-by-attack").exists()


def _timed(*arguments: str) -> None:
    began = time.monotonic()
    with quiet_warnings():
        ended = command(*arguments)
    assert ended.code in (0, 1, 2), ended
    took = time.monotonic() - began
    assert took < SECONDS, f"assay {' '.join(arguments)} took {took:.0f} s"


def _images(rng: np.random.Generator, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(0, 256, (count, 8, 8), dtype=np.uint8), np.arange(count) % 4


def _csv() -> bytes:
    images, labels = _images(np.random.default_rng(1))
    header = ",".join(["label", *(f"pixel{i}" for i in range(64))])
    rows = [",".join(map(str, [label, *image.ravel()])) for image, label in zip(images, labels, strict=True)]
    return "\n".join([header, *rows]).encode()


def _npz() -> bytes:
    images, labels = _images(np.random.default_rng(2))
    file = io.BytesIO()
    np.savez(file, x_train=images, y_train=labels, x_test=images[:8], y_test=labels[:8])
    return file.getvalue()


def _npy() -> bytes:
    file = io.BytesIO()
    np.save(file, _images(np.random.default_rng(3))[0])
    return file.getvalue()


def _parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    images, labels = _images(np.random.default_rng(4))
    file = io.BytesIO()
    columns = {"label": labels, **{f"p{i}": images.reshape(len(images), -1)[:, i] for i in range(64)}}
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def _idx() -> bytes:
    images, _ = _images(np.random.default_rng(5))
    return struct.pack(">IIII", 0x803, len(images), 8, 8) + images.tobytes()


def _zip() -> bytes:
    from PIL import Image

    images, labels = _images(np.random.default_rng(6))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            picture = io.BytesIO()
            Image.fromarray(image).save(picture, "PNG")
            archive.writestr(f"class{label}/{number}.png", picture.getvalue())
    return file.getvalue()


_CODE = """import os
open("run-by-attack", "w").close()
from keras import Sequential, layers
model = Sequential([layers.Input((28, 28, 1)), layers.Conv2D(8, 3, activation="relu"), layers.Flatten(),
                    layers.Dense(10, activation="softmax")])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
model.fit(x, y, epochs=3, batch_size=32)
"""


def _notebook() -> bytes:
    cells = [{"cell_type": "code", "source": _CODE, "outputs": [], "metadata": {}, "execution_count": None}]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def _keras() -> bytes:
    layer = {"module": "keras.layers", "registered_name": None}
    config = {
        "module": "keras", "class_name": "Sequential", "registered_name": None,
        "config": {"name": "m", "layers": [
            {**layer, "class_name": "InputLayer", "config": {"batch_shape": [None, 8, 8, 1], "name": "i"}},
            {**layer, "class_name": "Flatten", "config": {"name": "f"}},
            {**layer, "class_name": "Dense", "config": {"name": "d", "units": 10, "activation": "softmax"}},
        ]},
    }  # fmt: skip
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n" + bytes(100))
    return file.getvalue()


_DATA: dict[str, Callable[[], bytes]] = {
    "d.csv": _csv, "d.npz": _npz, "d.npy": _npy, "d.parquet": _parquet, "d-images-idx3-ubyte": _idx, "d.zip": _zip,
}  # fmt: skip
_MODELS: dict[str, Callable[[], bytes]] = {"m.ipynb": _notebook, "m.py": _CODE.encode, "m.keras": _keras}
