"""Document A's head on a frozen VGG16, ten epochs: ours with a cold and a warm cache, and the same in Keras.

Every part runs in a process of its own, with as many threads as there are cores. The base's weights are made up: what
they are does not change the time. Kernels are compiled and MNIST is unpacked beforehand: that happens once a machine.

    python benchmarks/frozen_base.py                    # all 60,000 images; Keras takes long
    python benchmarks/frozen_base.py --images 2000      # a share, for a busy machine; seconds a pass are scaled up
    python benchmarks/frozen_base.py --only ours
    python benchmarks/frozen_base.py --only keras --rival .bench-venv/bin/python --backend tensorflow

``keras once`` lets Keras predict the base's outputs once, too, and fits the head on them. ``keras fit`` is what the
document did: the base in the model, in every epoch; one epoch is timed and told tenfold.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HEAD = ["flatten", "dense 128 relu", "batchnorm", "dropout 0.5", "dense classes softmax"]
EPOCHS, BATCH = 10, 128
ALL = 60_000


def write_weights(path: Path) -> None:
    """VGG16's 14,714,688 numbers in the layout of Keras's file without top, made up."""
    import h5py
    import numpy as np

    rng, inputs = np.random.default_rng(0), 3
    widths = {1: (64, 64), 2: (128, 128), 3: (256,) * 3, 4: (512,) * 3, 5: (512,) * 3}
    keys = [(f"block{b}_conv{c}", width) for b, block in widths.items() for c, width in enumerate(block, start=1)]
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [key.encode() for key, _ in keys]
        for key, width in keys:
            group = file.create_group(key)
            group.attrs["weight_names"] = [f"{key}_W_1:0".encode(), f"{key}_b_1:0".encode()]
            scale = (2 / (9 * inputs)) ** 0.5
            group[f"{key}_W_1:0"] = rng.standard_normal((3, 3, inputs, width), dtype=np.float32) * np.float32(scale)
            group[f"{key}_b_1:0"] = np.zeros(width, np.float32)
            inputs = width


def ours(images: int, weights: Path, store: Path) -> dict[str, float]:
    """A study of one run, as a user runs it; ``base`` is its pass over all images, 0 from a warm cache."""
    import assay
    from assay.train import features

    passes, write = [0.0], features._write

    def timed(*given: object) -> None:
        started = time.perf_counter()
        write(*given)
        passes.append(time.perf_counter() - started)

    features._write = timed
    data = assay.arrays(*training_images(images), name="mnist-share") if images < ALL else assay.Data(name="mnist")
    study = assay.Study.of({
        "name": "frozen", "data": {**data.model_dump(exclude_none=True), "validation": 0.1},
        "network": {"base": {"name": "vgg16", "weights": str(weights), "size": 32}, "layers": HEAD},
        "training": {"epochs": EPOCHS, "batch_size": BATCH}, "seeds": {"count": 1},
    })  # fmt: skip
    started = time.perf_counter()
    result = assay.run(study, store=store)
    seconds = time.perf_counter() - started
    (run,) = result.runs
    return {"seconds": seconds, "base": sum(passes), "head": run.seconds or 0.0}


def keras_once(weights: Path) -> dict[str, float]:
    """The base's outputs predicted once, and the head fitted on them."""
    _, base, head, values, labels = keras_parts(weights)
    started = time.perf_counter()
    outputs = base.predict(values, batch_size=256, verbose=0)
    base_seconds = time.perf_counter() - started
    head.fit(outputs, labels, epochs=EPOCHS, batch_size=BATCH, verbose=0)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "base": base_seconds, "head": seconds - base_seconds}


def keras_fit(weights: Path) -> dict[str, float]:
    """The frozen base in the model."""
    keras, base, head, values, labels = keras_parts(weights)
    base.trainable = False
    model = keras.Sequential([base, *head.layers])
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    started = time.perf_counter()
    model.fit(values, labels, epochs=1, batch_size=BATCH, verbose=0)
    seconds = EPOCHS * (time.perf_counter() - started)
    return {"seconds": seconds, "base": 0.0, "head": seconds}


def keras_parts(weights: Path) -> tuple[Any, Any, Any, Any, Any]:
    """Keras, its VGG16 with the same weights, the head, prepared images, one-hot labels."""
    import h5py
    import keras
    import numpy as np
    from keras.src.legacy.saving import legacy_h5_format

    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    with h5py.File(weights) as file:
        legacy_h5_format.load_weights_from_hdf5_group_by_name(file, base)
    layers = keras.layers
    head = keras.Sequential([
        keras.Input((1, 1, 512)), layers.Flatten(), layers.Dense(128, activation="relu"), layers.BatchNormalization(),
        layers.Dropout(0.5), layers.Dense(10, activation="softmax"),
    ])  # fmt: skip
    head.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    shared = np.load(weights.with_name("images.npz"))
    count = len(shared["images"]) * 9 // 10  # a tenth is for validation
    pixels, labels = shared["images"][:count], shared["labels"][:count]
    grey = np.repeat(pixels.astype(np.float32), 3, axis=-1)
    resized = [keras.ops.convert_to_numpy(keras.ops.image.resize(part, (32, 32))) for part in np.array_split(grey, 60)]
    values = keras.applications.vgg16.preprocess_input(np.concatenate(resized))
    return keras, base, head, values, keras.utils.to_categorical(labels, 10)


def training_images(images: int) -> tuple[Any, Any]:
    """The first images of MNIST and their labels."""
    import numpy as np

    from assay.data import prepare

    data = prepare("mnist").training()
    return np.asarray(data.images[:images]), np.asarray(data.labels[:images])


def compile_kernels(store: Path) -> None:
    """The head's kernels, for a base that puts out as many channels, on the digits that come with scikit-learn."""
    import assay

    training_images(1)

    study = assay.Study.of({
        "name": "kernels", "data": {"name": "digits", "validation": 0.1},
        "network": {"base": {"name": "vgg16", "weights": "random", "size": 32}, "layers": HEAD},
        "training": {"epochs": 1, "batch_size": BATCH}, "seeds": {"count": 1},
    })  # fmt: skip
    assay.run(study, store=store)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=ALL)
    parser.add_argument("--only", choices=("ours", "keras"))
    parser.add_argument("--rival", default=sys.executable, help="Python with Keras and the backend")
    parser.add_argument("--backend", default="torch", help="of Keras: tensorflow, jax or torch")
    parser.add_argument("--part", nargs=3, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.part:
        name, weights, store = told.part
        parts = {
            "kernels": lambda: compile_kernels(Path(store)),
            "ours": lambda: ours(told.images, Path(weights), Path(store)),
            "keras once": lambda: keras_once(Path(weights)),
            "keras fit": lambda: keras_fit(Path(weights)),
        }
        print(json.dumps(parts[name]()))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder, threads = Path(scratch), str(len(os.sched_getaffinity(0)))
        weights = folder / "vgg16.h5"
        write_weights(weights)
        own = {"XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": threads, "KERAS_BACKEND": told.backend}
        environment = {**os.environ, **own, "TF_CPP_MIN_LOG_LEVEL": "3"}

        def part(name: str, store: str) -> dict[str, float]:
            command = [told.rival if store == "keras" else sys.executable, __file__, "--images", str(told.images)]
            command += ["--part", name, str(weights), str(folder / store)]
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            return json.loads(done.stdout.splitlines()[-1])

        print(f"document A's head on a frozen VGG16, {EPOCHS} epochs, {told.images:,} images, {threads} cores")
        if told.only != "keras":
            part("kernels", "kernels")
            for cache in ("cold", "warm"):  # a store each, so that both train
                print(f"ours, {cache} cache   {_told(part('ours', cache), told.images)}", flush=True)
        if told.only != "ours":
            import numpy as np

            images, labels = training_images(told.images)
            np.savez(folder / "images.npz", images=images, labels=labels)
            for name in ("keras once", "keras fit"):
                print(f"{name:10} {told.backend:12} {_told(part(name, 'keras'), told.images)}", flush=True)


def _told(found: dict[str, float], images: int) -> str:
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in found.items())
    work = found["base"] + found["head"]  # the rest is starting up
    whole = found["seconds"] + work * (ALL / images - 1)
    return seconds if images == ALL else f"{seconds}; for {ALL:,} images about {whole:.0f} s"


if __name__ == "__main__":
    main()
