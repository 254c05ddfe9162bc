"""Optional packages: imported where they are used, and named with their extra where they are missing."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from .errors import NotInstalled, Problem

EXTRAS = {
    "pictures": ("matplotlib",),
    "search": ("optuna", "cmaes"),
    "parquet": ("pyarrow",),
    "hdf5": ("h5py",),
    "export": ("keras", "onnx", "onnxruntime", "h5py"),
    "litert": ("ai_edge_litert", "flatbuffers"),
    "notebook": ("nbformat", "nbclient", "ipykernel"),
    "hub": ("huggingface_hub",),
    "ray": ("ray", "fsspec"),
    "mlflow": ("mlflow",),
    "tensorboard": ("tensorboard",),
    "wandb": ("wandb",),
}
"""Each extra of ``pip install "assay[...]"`` and the modules that it brings."""


def needed(module: str, purpose: str) -> Any:
    """A module of an optional package.

    Args:
        module: Its name, such as ``pyarrow.parquet``.
        purpose: What cannot be done without it, as the beginning of a sentence in the plural: "Parquet files".

    Raises:
        NotInstalled: It is not there, or cannot be imported.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        is_absent = isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in ("", package)
        why = "which is not installed" if is_absent else f"which cannot be imported ({' '.join(str(error).split())})"
        raise NotInstalled(Problem(f"{purpose} need {package}, {why}", remedy(package))) from None


def remedy(package: str) -> str:
    """How to install an optional package."""
    extra = next(extra for extra, packages in EXTRAS.items() if package in packages)
    return f'run pip install "assay[{extra}]"'


def has(package: str) -> bool:
    """Whether an optional package is installed. Nothing is imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # it stands in sys.modules as missing
        return False
