"""Tensors: the values between a network's blocks, with their gradients. Layouts: see ``buffers``."""

from __future__ import annotations

from collections.abc import Sequence

from .blocks import Block
from .buffers import BatchInfo, Buffer, Mode, reshaped
from .commands import CommandList
from .copies import CopyOp
from .joins import record_sum


class Tensor:
    """What one block writes (or the images), and any number of later ones read.

    Its gradient is the sum of the parts that its readers leave. The first of them that is a buffer of its own takes the
    others, in the order of the forward pass. A part may also be *shared*: a sum's gradient is that of its terms.

    Args:
        shape: Height, width and channels.

    Attributes:
        margins: Zeros around it: top, bottom, left and right, the most that any reader wants.
        num_readers: How many read it.
        needs_gradient: Whether anything before it learns.
        value: Where it lies, with its margin.
        gradient: Where the whole gradient lies, without a margin.
        copies: What is to be copied as soon as it is written.
    """

    value: Buffer
    gradient: Buffer

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self.margins = (0, 0, 0, 0)
        self.num_readers = 0
        self.needs_gradient = False
        self.copies: list[CopyOp] = []
        self._plain: Buffer | None = None
        self._parts: list[Buffer] = []  # in the order of the backward pass
        self._shared: list[bool] = []
        self._begins_with_copy = False

    def plain(self, mode: Mode) -> Buffer:
        """Its value without a margin and in this mode: a copy, if it lies otherwise."""
        if self._plain is None:
            self._plain = self.value
            if any(self.margins) or self.value.mode != mode:
                self._plain = Buffer(*self.shape, mode, self.value.num_blocks)
                self.copies.append(CopyOp(source=self.value, target=self._plain))
        return self._plain

    def add_part(self, part: Buffer, *, is_shared: bool = False) -> None:
        """Enter where a reader leaves its part of the gradient, if anyone wants it.

        Args:
            part: Without a margin.
            is_shared: Others read it too, so nothing may be added to it.
        """
        if self.needs_gradient:
            self._parts.append(reshaped(part, self.shape))
            self._shared.append(is_shared)

    def bind_gradient(self, mode: Mode, *, may_share: bool) -> Buffer:
        """Choose where the whole gradient will lie, when all readers have entered their parts.

        Args:
            mode: Of the gradient.
            may_share: Whether who reads it leaves it as it is.
        """
        own = [index for index, is_shared in enumerate(self._shared) if not is_shared]
        if own:
            self.gradient = self._parts.pop(own[0])
        elif len(self._parts) == 1 and may_share and self._parts[0].mode == mode:
            self.gradient = self._parts.pop()
        else:
            self.gradient = Buffer(*self.shape, mode, self.value.num_blocks)
            self._begins_with_copy = True
        return self.gradient

    def complete_gradient(self, commands: CommandList, batch: BatchInfo) -> None:
        """Record the sum of the parts, all of which are there."""
        parts = self._parts[::-1]
        if self._begins_with_copy and parts:
            CopyOp(source=parts.pop(0), target=self.gradient).forward(commands, batch)
        for part in parts:
            record_sum(commands, batch, self.gradient, part, self.gradient)


def tensors_of(blocks: Sequence[Block], images: tuple[int, int, int]) -> list[Tensor]:
    """The tensors of a network, first the images of this shape, with what its blocks want of them."""
    tensors = [Tensor(images)]
    for block in blocks:
        layers = block.post_ops or (block.weighted,)
        end = Tensor(layers[-1].outputs if layers[-1] is not None else (0, 0, 0))
        read = [tensors[index] for index in (block.source, *block.terms)]
        for tensor in read:
            tensor.num_readers += 1
        if block.weighted is not None:
            pairs = zip(read[0].margins, block.weighted.margin, strict=True)
            read[0].margins = tuple(max(pair) for pair in pairs)  # type: ignore[assignment]
        end.needs_gradient = block.has_parameters or any(tensor.needs_gradient for tensor in read)
        tensors.append(end)
    return tensors
