"""Assay: which choice makes this network better, and can I trust the answer?

From a study to an answer:

- Define a study: ``Study`` with ``Data`` (or ``arrays``, ``torch_dataset``), ``Network`` (with ``Residual``,
  ``Parallel``, ``Repeat``, ``Base``), ``Training`` (with ``Optimizer``, ``Schedule``, ``Augmentation``,
  ``EarlyStopping``, ``Best``, ``Evaluation``, ``Swa``, ``Distillation``, ``Quantization``), ``Seeds`` and ``Search``.
  ``load`` reads one from a file; ``shipped`` lists those that come with Assay.
- Look before you run: ``describe`` (the networks), ``remarks`` (what to know), ``plan`` (how many seeds it needs),
  ``lr_range`` (where to search a learning rate).
- Run it: ``run`` trains the missing runs. ``Callback`` follows them with your own code.
- Use the results: ``result``, ``studies`` and ``find`` open what a store holds. ``Result`` has verdicts, tables and
  reports; ``Run`` is one run. ``predict`` classifies new images. ``ledger`` lists every claim of a store.
- Work with other tools: ``judge`` gives verdicts on tables, MLflow, TensorBoard, Optuna, Keras Tuner and saved
  predictions. ``capture``, ``captured`` and ``from_keras`` take over Keras models. ``Classifier`` is for scikit-learn.
"""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from .api import Result as Result
    from .api import Run as Run
    from .api import arrays as arrays
    from .api import capture as capture
    from .api import captured as captured
    from .api import describe as describe
    from .api import find as find
    from .api import from_keras as from_keras
    from .api import judge as judge
    from .api import ledger as ledger
    from .api import load as load
    from .api import lr_range as lr_range
    from .api import plan as plan
    from .api import predict as predict
    from .api import remarks as remarks
    from .api import result as result
    from .api import run as run
    from .api import shipped as shipped
    from .api import studies as studies
    from .api import torch_dataset as torch_dataset
    from .classifier import Classifier as Classifier
    from .documents import Reproduction as Reproduction
    from .documents import reproduce as reproduce
    from .runner import Callback as Callback
    from .runner import RunInfo as RunInfo
    from .spec import Arm as Arm
    from .spec import ArmTemplate as ArmTemplate
    from .spec import Augmentation as Augmentation
    from .spec import Base as Base
    from .spec import Best as Best
    from .spec import Choice as Choice
    from .spec import Data as Data
    from .spec import Distillation as Distillation
    from .spec import EarlyStopping as EarlyStopping
    from .spec import Evaluation as Evaluation
    from .spec import Folds as Folds
    from .spec import Groups as Groups
    from .spec import Halving as Halving
    from .spec import Last as Last
    from .spec import Network as Network
    from .spec import Optimizer as Optimizer
    from .spec import Parallel as Parallel
    from .spec import Quantization as Quantization
    from .spec import Range as Range
    from .spec import Reading as Reading
    from .spec import Repeat as Repeat
    from .spec import Residual as Residual
    from .spec import Schedule as Schedule
    from .spec import Search as Search
    from .spec import Seeds as Seeds
    from .spec import Study as Study
    from .spec import Swa as Swa
    from .spec import Training as Training

# Each public name by the module that has it, which is imported when a name of it is first asked for.
_HOMES = {
    ".api": (
        "Result",
        "Run",
        "arrays",
        "capture",
        "captured",
        "describe",
        "find",
        "from_keras",
        "judge",
        "ledger",
        "load",
        "lr_range",
        "plan",
        "predict",
        "remarks",
        "result",
        "run",
        "shipped",
        "studies",
        "torch_dataset",
    ),
    ".classifier": ("Classifier",),
    ".documents": (
        "Reproduction",
        "reproduce",
    ),
    ".runner": (
        "Callback",
        "RunInfo",
    ),
    ".spec": (
        "Arm",
        "ArmTemplate",
        "Augmentation",
        "Base",
        "Best",
        "Choice",
        "Data",
        "Distillation",
        "EarlyStopping",
        "Evaluation",
        "Folds",
        "Groups",
        "Halving",
        "Last",
        "Network",
        "Optimizer",
        "Parallel",
        "Quantization",
        "Range",
        "Reading",
        "Repeat",
        "Residual",
        "Schedule",
        "Search",
        "Seeds",
        "Study",
        "Swa",
        "Training",
    ),
}
__all__ = sorted(name for names in _HOMES.values() for name in names)


def __getattr__(name: str) -> _Any:
    """Import a public name when it is first asked for: a command or script pays only for what it uses."""
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(home, __name__), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__file__", "__name__", "__path__"]
