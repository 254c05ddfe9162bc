"""The colour images of V, R and M: CIFAR-10 as Assay reads it, written once as arrays that everybody opens.

The JPEG copy (``cifar10_jpeg``, a folder of Parquet files) where ``ASSAY_DATA`` has it, else the registered data set
``cifar10``. What is timed does not depend on which: sizes are the same.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from probes import CLASSES, COLOURED

from assay.data import prepare
from assay.data.location import raw_folder
from assay.spec import Data

JPEG = "cifar10_jpeg"
VALIDATION = 10  # images more than are trained on


def source() -> Data:
    """Where the images come from."""
    folder = raw_folder(JPEG)
    return Data(path=str(folder)) if folder.exists() else Data(name="cifar10")


def write(folder: Path, side: int) -> Path:
    """An ``.npz`` with ``x_train`` uint8 [n, side, side, 3] and ``y_train``: equally many of each class.

    Pixels are repeated up to a ``side`` of a multiple of 32; nobody has to enlarge anything while it is timed.
    """
    training = prepare(source()).training()
    classes = np.asarray(training.labels)
    of_each = (COLOURED + VALIDATION) // CLASSES
    chosen = np.sort(np.concatenate([np.flatnonzero(classes == value)[:of_each] for value in range(CLASSES)]))
    images = np.asarray(training.images[chosen])
    times = side // images.shape[1]
    path = folder / f"cifar10-{side}.npz"
    np.savez(path, x_train=images.repeat(times, axis=1).repeat(times, axis=2), y_train=classes[chosen])
    return path
