"""Exports a module of one's own: traced to ONNX, or as its source with its weights."""

from __future__ import annotations

import json
import keyword
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import disk
from ..errors import Problem, SpecError
from ..extras import needed
from ..nets.own import located
from ..nets.own.importing import reason_of
from ..nets.own.network import OwnNetwork
from .portable import Portable

CODE = "code"  # the folder of the source files beside an exported network

_HEAD = '''"""{title}

Needs torch, safetensors and what the code in the folder {code} needs:

    from {module} import CLASSES, load
    probabilities = load()(images)  # {dtype} [n, {height}, {width}, {channels}], {values}

How a picture becomes such an image: ``read_picture`` in the model card beside this file.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

sys.path.insert(0, str(Path(__file__).parent / "{code}"))
from {stem} import {name}  # noqa: E402

CLASSES = {classes}


class Network(nn.Module):
    """Stored pixel values [n, {height}, {width}, {channels}] in, probabilities [n, {num_classes}] out."""

    def __init__(self):
        super().__init__()
        self.module = {call}

    def logits(self, images):
        """What the probabilities are the softmax of, for training on."""
        x = (images.to(torch.float32) - torch.tensor({offset})) * torch.tensor({factor})
        x = self.module(x.permute(0, 3, 1, 2).contiguous())
        return {logits}

    def forward(self, images):
        return torch.softmax(self.logits(images), 1)


def load(weights=Path(__file__).with_suffix(".safetensors")):
    """The network with its weights, in evaluation mode."""
    network = Network()
    network.module.load_state_dict(load_file(weights))
    return network.eval()
'''


def own_of(network: Portable) -> OwnNetwork:
    """The module of a network that is one of one's own."""
    if network.own is None:
        raise ValueError("the network is made of layer words")
    return network.own


def refuse_own(network: Portable, what: str) -> None:
    """Raise where a network is a module of one's own, which a format has no code for.

    Raises:
        SpecError: It is.
    """
    if network.own is not None:
        call = network.own.own.call
        refused = f"{call.call} is a module of your own, and {what}"
        raise SpecError(Problem(refused, "export it as onnx or torch"))


def onnx_of(network: Portable, opset: int) -> Any:
    """The traced module as an ``onnx.ModelProto``: stored pixel values in, probabilities out.

    Python's branches and loops stand in it as they were taken for a random image.

    Raises:
        SpecError: The onnx package is not installed, or torch cannot trace the module.
    """
    onnx = needed("onnx", "ONNX files")
    own = own_of(network)
    stored = _Stored(network).eval()
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, *network.shape), dtype=torch.uint8, generator=generator)
    given = images if network.dtype == "uint8" else images.float() / 255
    axes = {"images": {0: "batch"}, "probabilities": {0: "batch"}}
    try:
        with warnings.catch_warnings(), torch.no_grad(), tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.onnx"
            warnings.simplefilter("ignore")  # what tracing makes of Python's branches is checked on images afterwards
            torch.onnx.export(
                stored, (given,), file, opset_version=opset, input_names=["images"], dynamo=False,
                output_names=["probabilities"], dynamic_axes=axes,
            )  # fmt: skip
            model = onnx.load(file)
    except Exception as error:
        what = f"torch cannot export {own.own.call.call} to ONNX: {reason_of(error)}"
        raise SpecError(Problem(what, "export it as torch")) from error
    about = {"classes": json.dumps(network.classes), "layers": json.dumps(network.lines)}
    onnx.helper.set_model_props(model, about)
    onnx.checker.check_model(model, full_check=True)
    return model


class _Stored(nn.Module):
    """From stored pixel values to probabilities."""

    def __init__(self, network: Portable) -> None:
        super().__init__()
        own = own_of(network)
        self.module, self.is_probabilities = own.module, own.own.output == "probabilities"
        self.offset, self.factor = torch.from_numpy(network.offset), torch.from_numpy(network.factor)

    def forward(self, images: Tensor) -> Tensor:
        pixels = (images.to(torch.float32) - self.offset) * self.factor
        scores: Tensor = self.module(pixels.permute(0, 3, 1, 2).contiguous())
        return scores if self.is_probabilities else torch.softmax(scores, 1)


def write_own_torch(network: Portable, path: Path, title: str) -> tuple[Path, ...]:
    """Write ``path``, a ``.safetensors`` file of the same name with the module's own state, and a folder with its code.

    Returns:
        The files of the code.

    Raises:
        SpecError: The file's name is no name that Python imports.
        DiskFull: There is no space left.
    """
    from safetensors.torch import save

    own = own_of(network)
    source = located(own.own.call)
    stem = Path(source.entry.path).stem
    if not stem.isidentifier() or keyword.iskeyword(stem):
        what = f"{source.entry.path} has no name that Python imports"
        raise SpecError(Problem(what, "call it such as my_nets.py, and run the study again", "layers[0]"))
    state = {name: value.detach().contiguous().clone() for name, value in own.state().items()}
    disk.write(path.with_suffix(".safetensors"), save(state))
    disk.write(path, _source_of(network, path.stem, title, stem).encode())
    written = []
    for file in source.files:
        target = path.parent / CODE / file.path
        with disk.disk_errors(target, "written"):
            target.parent.mkdir(parents=True, exist_ok=True)
        disk.write(target, file.content)
        written.append(target)
    return tuple(written)


def _source_of(network: Portable, module: str, title: str, stem: str) -> str:
    own = own_of(network).own
    height, width, channels = network.shape
    return _HEAD.format(
        title=title.replace("\\", "/").replace('"""', "'''"), module=module, code=CODE, stem=stem, name=own.call.name,
        dtype=network.dtype, values="0 to 255" if network.dtype == "uint8" else "0 to 1", height=height, width=width,
        channels=channels, num_classes=network.summary.num_classes, call=own.call.call,
        classes="[" + ", ".join(map(json.dumps, network.classes)) + "]", offset=network.offset.tolist(),
        factor=network.factor.tolist(),
        logits="x.float().clamp_min(1e-7).log()" if own.output == "probabilities" else "x",
    )  # fmt: skip
