"""Constructs a module of one's own, under generators that a run's streams seed."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from ...errors import Problem, SpecError
from ...spec import OwnCall
from ..effects import Image
from .importing import reason_of, value_of
from .source import Source

_KEY = "layers[0]"


@contextlib.contextmanager
def torch_seeded(key: int) -> Iterator[None]:
    """torch's generator seeded by a key, and afterwards as it was before."""
    generator = torch.default_generator
    state = generator.get_state()
    generator.manual_seed(key)
    try:
        yield
    finally:
        generator.set_state(state)


@contextlib.contextmanager
def seeded(key: int) -> Iterator[None]:
    """The global generators of torch, NumPy and Python, seeded by a key and afterwards as they were before."""
    numpys, pythons = np.random.get_state(), random.getstate()
    np.random.seed(key % 2**32)
    random.seed(key)
    try:
        with torch_seeded(key):
            yield
    finally:
        np.random.set_state(numpys)
        random.setstate(pythons)


def constructed(source: Source, call: OwnCall, image: Image, key: int) -> nn.Module:
    """The module with its initial weights, on the CPU and in training mode.

    Args:
        source: Its code.
        call: The class and its arguments.
        image: (height, width, channels) of an image, which lazy layers take their shapes from.
        key: Seeds the global generators while it is made.

    Raises:
        SpecError: The constructor fails, makes no module, or one without float32 parameters to train.
    """
    name = f"{call.call} in {source.entry.path}"
    with seeded(key):
        module = value_of(source, call)
        if not isinstance(module, nn.Module):
            what = f"{name} makes a {type(module).__name__}, not a torch.nn.Module"
            raise SpecError(Problem(what, "name a class that extends nn.Module", _KEY))
        if any(isinstance(value, UninitializedParameter) for value in module.parameters()):
            _settle(module, name, image)
    module.to("cpu").train()
    extra = [key for key, value in module.state_dict().items() if not isinstance(value, torch.Tensor)]
    if extra:
        what = f"{name} keeps {extra[0]} in its state_dict, which is no tensor"
        raise SpecError(Problem(what, "keep it as a buffer", _KEY))
    trained = {title: value for title, value in module.named_parameters() if value.requires_grad}
    if not trained:
        raise SpecError(Problem(f"{name} has no parameters to train", "give it layers with parameters", _KEY))
    for parameter, value in trained.items():
        if value.dtype != torch.float32:
            what = f"parameter {parameter} of {name} is {str(value.dtype).removeprefix('torch.')}"
            raise SpecError(Problem(what, "parameters that train are float32", _KEY))
    return module


def _settle(module: nn.Module, name: str, image: Image) -> None:
    """Let lazy layers take their shapes."""
    height, width, channels = image
    module.eval()
    try:
        with torch.no_grad():
            module(torch.zeros(2, channels, height, width))
    except Exception as error:
        what = f"{name} cannot compute images of {height} x {width} x {channels}: {reason_of(error)}"
        raise SpecError(Problem(what, "correct it", _KEY)) from error
