"""Builds an arm's network: its layers and its base's weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ..errors import DataError, Problem
from ..nets import Summary, summary_of
from ..nets.build import Network, learned
from ..nets.effects import Image
from ..nets.ensemble import EnsembleNetwork
from ..nets.own.network import network_from
from ..seeds import Streams
from ..spec import Arm


def network_of(arm: Arm, stored: Image, num_classes: int, streams: Streams, weights: Path | None = None) -> Network:
    """An arm's whole network, with its base's weights and the initial ones of everything else.

    Args:
        arm: Its layers and its base.
        stored: Height, width and channels of a stored image.
        num_classes: Classes.
        streams: Of the run.
        weights: The base's, as ``runner.bases`` keeps them; ``None`` without a base or with random weights.

    Raises:
        SpecError: The layers break a rule.
        NoCode: The code of a module of one's own is not at hand.
        DataError: The base's weights are missing or damaged.
    """
    members = arm.training.ensemble
    if members is not None:
        one = arm.model_copy(update={"training": arm.training.model_copy(update={"ensemble": None})})
        return EnsembleNetwork(
            [
                network_of(one, stored, num_classes, replace(streams, member=member), weights)
                for member in range(members)
            ]
        )
    network = network_from(summary_of(arm, stored, num_classes), streams)
    if weights is not None:
        tensors = _read(weights)
        with torch.no_grad():
            for name, value in network.state_dict().items():
                if name in tensors:
                    value.copy_(tensors[name])
    network.open(1)
    return network


def trained_summary(arm: Arm, stored: Image, num_classes: int) -> Summary:
    """The layers of an arm that are trained: the head alone where its base's outputs are cached, else all of them."""
    return learned(summary_of(arm, stored, num_classes))


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        what = f"the base's weights cannot be read ({error})"
        raise DataError(Problem(what, "run the study again, which makes them anew", file=str(path))) from None
