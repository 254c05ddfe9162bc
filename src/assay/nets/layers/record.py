"""The base class of layer records: everything about a layer word but what computes it.

A layer is a frozen dataclass. Its fields are its arguments: those before ``KW_ONLY`` are written by position, those
after it as ``name=value``; a field with a default may be left out, and its annotation carries the ``Kind`` of its
value. Its class says what it is called, what it costs and learns, what Keras calls it and what to cite. What computes
it stands with each backend, in a table from words to implementations (``nets.translation``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..effects import Effect, Image, Shape, Window
from ..keras import Settings, Signature
from ..parameters import Parameter
from ..receptive import ReceptiveField, windowed

Role = Literal["convolution", "dense", "norm", "pool", "activation", "dropout", "form", "join"]


@dataclass(frozen=True)
class Citation:
    """What a study cites where it uses a word.

    Args:
        key: Of the entry in ``report/methods.bib``.
        use: What the study uses it for.
    """

    key: str
    use: str


class Layer:
    """One layer of a network. ``parse`` makes them from words."""

    word: ClassVar[str]  # as study files write it
    role: ClassVar[Role]
    keras: ClassVar[tuple[Signature, ...]] = ()  # the classes of Keras that it stands for
    cites: ClassVar[Citation | None] = None
    is_view: ClassVar[bool] = False  # its values are its input's, in the same order: no memory of its own

    @property
    def window(self) -> Window | None:
        """The window that it moves over an image, if it does."""
        return None

    @property
    def gives_vector(self) -> bool:
        """Whether its output is a vector even where its input is an image."""
        return False

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        """What it makes of an input of this shape, and what that costs."""
        raise NotImplementedError(type(self).__name__)

    def parameters(self, shape: Shape, num_classes: int) -> tuple[Parameter, ...]:
        """What it learns or keeps for an input of this shape, in Keras's order."""
        return ()

    def field(self, field: ReceptiveField, shape: Shape, image: Image) -> ReceptiveField:
        """What its output sees of the network's input.

        Args:
            field: What its input sees.
            shape: Of its input.
            image: Shape of the network's input.
        """
        window = self.window
        if window is None or len(shape) == 1:
            return ReceptiveField(field.rows, field.columns, is_vector=len(shape) == 1)
        return windowed(field, shape, window)

    @classmethod
    def from_keras(cls, settings: Settings) -> Layer:
        """The layer that a layer of Keras means.

        Raises:
            Unfit: It has a setting without words.
        """
        return cls()


class Join(Layer):
    """Where paths meet. Blocks end in one; it has no word of its own in a study file."""

    role = "join"

    def joined(self, shapes: tuple[Shape, ...]) -> Effect:
        """What joining paths of these shapes gives; a broken rule begins with "adds" or "concatenates"."""
        raise NotImplementedError(type(self).__name__)
