"""Which pictures of a run are requested."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from numpy.typing import NDArray

from ...analysis.scores import Split
from ...errors import Problem, SpecError, nearest
from ...explain.picture import Picture
from ...explain.projection import Projection
from .subject import Subject

Image = int | str | Path | NDArray[Any]


@dataclass(frozen=True, eq=False)
class PictureRequest:
    """Which pictures of a run to draw. Its fields are the options of :meth:`assay.Run.explain`.

    Args:
        only: Names of pictures, as a list or one text with commas; ``assay explain --help`` lists them. All that can be
            drawn if ``None``.
        layer: The layer of kernels and maps. Suitable ones if ``None``.
        image: The image for activations and evidence: its index in the training data (in the test data with
            ``split="test"``), an image file, or an array [height, width, channels]. Some mistakes and some correct
            images if ``None``.
        split: The images on which failures are shown: ``"validation"``, or ``"test"`` once the run is scored on it.
        projection: How features are projected to two dimensions: ``"pca"`` or ``"tsne"``.
    """

    only: str | Sequence[str] | None = None
    layer: str | None = None
    image: Image | None = None
    split: Split = "validation"
    projection: Projection = "pca"

    def names(self, known: list[str]) -> list[str]:
        """Return the requested pictures, in the order of ``known``.

        Args:
            known: All names.

        Raises:
            SpecError: A name is not known.
        """
        if self.only is None:
            return known
        names = [name.strip() for name in self.only.split(",")] if isinstance(self.only, str) else list(self.only)
        unknown = [name for name in names if name not in known]
        if unknown:
            raise SpecError(
                [Problem(f'there is no picture "{name}"', nearest(name, known), "only") for name in unknown]
            )
        return [name for name in known if name in names]


class PictureOptions(TypedDict, total=False):
    """The fields of a :class:`PictureRequest` as keyword arguments."""

    only: str | Sequence[str] | None
    layer: str | None
    image: Image | None
    split: Split
    projection: Projection


Maker = Callable[[Subject, PictureRequest], list[Picture]]
