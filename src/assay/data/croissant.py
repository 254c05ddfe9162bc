"""Croissant: a description of a data set in JSON-LD that data hubs and loaders read.

Source: Akhtar et al. (2024), "Croissant: A Metadata Format for ML-Ready Datasets", NeurIPS; format 1.0 at
http://mlcommons.org/croissant/1.0.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..disk import disk_errors
from .types import DatasetInfo

FILE = "croissant.json"
CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
_PREFIXED = (  # names that stand for terms of the format
    "arrayShape", "citeAs", "column", "containedIn", "dataBiases", "dataCollection", "equivalentProperty",
    "extract", "field", "fileObject",
    "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5",
    "parentField", "path", "personalSensitiveInformation", "recordSet", "references", "regex", "repeated", "replace",
    "samplingRate", "separator", "source", "subField", "transform",
)  # fmt: skip
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{name: f"cr:{name}" for name in _PREFIXED},
}


def croissant_of(info: DatasetInfo, files: Mapping[str, Path], *, description: str = "") -> dict[str, Any]:
    """The description of a data set whose splits lie in Parquet files of encoded images.

    Args:
        info: The data set.
        files: By split (``train``, ``test``), a Parquet file with the columns ``image`` (``{bytes, path}``) and
            ``label``, beside which the description will lie.
        description: What the images are; drawn from ``info`` if empty.

    Raises:
        DataError: A file cannot be read.
    """
    colour = "grey" if info.channels == 1 else "colour"
    counts = f"{info.num_training:,} training images" + (f" and {info.num_test:,} test images" if info.num_test else "")
    about = f"{info.title}: {counts} of {info.height} x {info.width} pixels, {colour}, of {info.num_classes} classes."
    cited = " ".join(info.citation.split())
    url = next((source for source in info.sources if source.startswith(("http://", "https://"))), "")
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": re.sub(r"[^\w-]+", "_", info.name) or "data",
        "description": description or about,
        **({"license": info.licence} if info.licence else {}),
        **({"citeAs": cited} if cited else {}),
        **({"url": url} if url else {}),
        "version": "1.0.0",
        **({"identifier": f"sha256:{info.content}"} if info.content else {}),
        "distribution": [_file(split, path) for split, path in files.items()],
        "recordSet": [_classes(info), *(_records(split) for split in files)],
    }


def as_json(values: Mapping[str, Any]) -> bytes:
    """A description as the content of its file."""
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()


def _file(split: str, path: Path) -> dict[str, Any]:
    with disk_errors(path, "read"):
        content = path.read_bytes()
    return {
        "@type": "cr:FileObject",
        "@id": f"{split}-file",
        "name": path.name,
        "description": f"The {split} split.",
        "contentUrl": path.name,
        "contentSize": f"{len(content)} B",
        "encodingFormat": "application/x-parquet",
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _classes(info: DatasetInfo) -> dict[str, Any]:
    """The names of the labels."""
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "description": "What each label means.",
        "dataType": "sc:Enumeration",
        "key": {"@id": "classes/label"},
        "field": [
            {"@type": "cr:Field", "@id": "classes/label", "name": "label", "dataType": "sc:Integer"},
            {"@type": "cr:Field", "@id": "classes/name", "name": "name", "dataType": "sc:Text"},
        ],
        "data": [{"classes/label": label, "classes/name": name} for label, name in enumerate(info.classes)],
    }


def _records(split: str) -> dict[str, Any]:
    """One record an image."""

    def source(column: str) -> dict[str, Any]:
        return {"fileObject": {"@id": f"{split}-file"}, "extract": {"column": column}}

    return {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": split,
        "description": f"The images of the {split} split with their labels.",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{split}/image",
                "name": "image",
                "description": "A PNG.",
                "dataType": "sc:ImageObject",
                "source": {**source("image"), "transform": {"jsonPath": "bytes"}},
            },
            {
                "@type": "cr:Field",
                "@id": f"{split}/label",
                "name": "label",
                "description": "Its class.",
                "dataType": "sc:Integer",
                "references": {"field": {"@id": "classes/label"}},
                "source": source("label"),
            },
        ],
    }
