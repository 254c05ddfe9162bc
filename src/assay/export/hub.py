"""The parts of a Hugging Face model repository that a hub reads: the card's metadata block, and ``config.json``.

Source: https://huggingface.co/docs/hub/model-cards (metadata), Papers with Code's ``model-index``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .portable import Portable

CARD = "README.md"
CONFIG = "config.json"
# Registered data sets that the hub has, by their names there.
DATASETS = {
    "mnist": "ylecun/mnist",
    "fashion_mnist": "zalando-datasets/fashion_mnist",
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
}


@dataclass(frozen=True)
class HubFacts:
    """What a hub is told of a model.

    Args:
        name: The model's.
        title: Of its data set.
        dataset: The data set's name on the hub; empty where it has none there.
        scores: Accuracies by split, fractions.
        licence: Of the weights, by the hub's name for it; empty to leave that to whoever uploads it.
    """

    name: str
    title: str
    dataset: str
    scores: Mapping[str, float]
    licence: str = ""


def dataset_on_hub(name: str, path: str | None) -> str:
    """What the hub calls a study's data; empty where they are not from there, or not known.

    Args:
        name: Its registered name.
        path: Its files, or ``hf://datasets/owner/name``.
    """
    match = re.match(r"hf://datasets/([^/@]+/[^/@]+)", path or "")
    return match[1] if match else DATASETS.get(name, "") if path is None else ""


def metadata_block(facts: HubFacts) -> str:
    """The YAML block that a card begins with."""
    data_type = facts.dataset or re.sub(r"[^\w.-]+", "-", facts.title.lower()).strip("-") or "images"
    results = [
        {
            "task": {"type": "image-classification", "name": "Image Classification"},
            "dataset": {"type": data_type, "name": facts.title, "split": split},
            "metrics": [{"type": "accuracy", "value": round(score, 6), "name": "Accuracy"}],
        }
        for split, score in facts.scores.items()
    ]
    values: dict[str, Any] = {
        **({"license": facts.licence} if facts.licence else {}),
        "library_name": "pytorch",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "assay"],
        **({"datasets": [facts.dataset]} if facts.dataset else {}),
        "metrics": ["accuracy"],
        **({"model-index": [{"name": facts.name, "results": results}]} if results else {}),
    }
    return "---\n" + "\n".join(_yaml(values)) + "\n---\n\n"


def config_of(network: Portable) -> bytes:
    """``config.json``: what a loader must know without running code."""
    height, width, channels = network.shape
    values = {
        "architectures": ["network.py"],
        "model_type": "assay",
        "image_size": [height, width],
        "num_channels": channels,
        "pixel_dtype": str(network.dtype),
        "num_labels": len(network.classes),
        "id2label": {str(label): name for label, name in enumerate(network.classes)},
        "label2id": {name: label for label, name in enumerate(network.classes)},
        "num_parameters": network.summary.parameters,
    }
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()


USE = """
## From the hub

```python
import sys

from huggingface_hub import snapshot_download

folder = snapshot_download("OWNER/NAME")
sys.path.insert(0, folder)
from network import CLASSES, load

model = load()  # stored pixel values in, probabilities out
```
"""


def _yaml(value: Any, indent: int = 0) -> list[str]:
    """Plain values as YAML in block style; every text is quoted, as JSON quotes it."""
    pad = " " * indent
    if isinstance(value, Mapping):
        lines: list[str] = []
        for key, item in value.items():
            if isinstance(item, Mapping | list):
                lines += [f"{pad}{key}:", *_yaml(item, indent + 2)]
            else:
                lines.append(f"{pad}{key}: {_scalar(item)}")
        return lines
    items: Sequence[Any] = value
    lines = []
    for item in items:
        if isinstance(item, Mapping):
            first, *rest = _yaml(item, indent + 2)
            lines += [f"{pad}- {first.lstrip()}", *rest]
        else:
            lines.append(f"{pad}- {_scalar(item)}")
    return lines


def _scalar(value: Any) -> str:
    text = str(value)
    is_plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w./-]*", text) is not None
    return (
        text
        if is_plain and text.lower() not in ("yes", "no", "true", "false", "null", "on", "off", "y", "n")
        else (json.dumps(value, ensure_ascii=False))
    )
