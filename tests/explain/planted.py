"""Networks and images whose truth is known because it was put there."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from assay.nets import parse
from assay.nets.build import Network, build
from assay.seeds import Streams

CONVOLUTIONAL = ("conv 2 3x3 relu padding=same", "globalmaxpool", "dense classes softmax")


def network_of(layers: Sequence[str], shape: tuple[int, int, int] = (12, 12, 1), classes: int = 3) -> Network:
    return build(parse(list(layers)), shape, classes, Streams(0)).eval()


@torch.no_grad()
def detector() -> Network:
    """Class 0 is a cross, class 1 a ring: one filter sees each, and the dense layer passes it on."""
    network = network_of(CONVOLUTIONAL, classes=2)
    cross = torch.tensor([[-1.0, 1, -1], [1, 1, 1], [-1, 1, -1]])
    network.conv1.kernel.copy_(torch.stack([cross, -cross])[:, None])
    network.conv1.bias.copy_(torch.tensor([-4.0, -3.0]))
    network.dense1.kernel.copy_(torch.eye(2))
    return network


def scene(cross: tuple[int, int] | None, ring: tuple[int, int] | None = None) -> Tensor:
    """A black image, 12 x 12, with a cross or a ring around these points [1, 1, 12, 12]."""
    image = torch.zeros(1, 1, 12, 12)
    for at, is_cross in ((cross, True), (ring, False)):
        if at is not None:
            arms = torch.tensor([[0.0, 1, 0], [1, 1, 1], [0, 1, 0]])
            row, column = at
            image[0, 0, row - 1 : row + 2, column - 1 : column + 2] = arms if is_cross else 1 - arms
    return image
