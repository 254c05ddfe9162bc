"""Projects features to two dimensions: PCA and t-SNE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Projection = Literal["pca", "tsne"]


@dataclass(frozen=True)
class Flat:
    """Points in the plane.

    Args:
        points: float64 [n, 2].
        shares: How much of the features' variance each axis holds; ``None`` for t-SNE, whose axes mean nothing.
    """

    points: NDArray[np.float64]
    shares: tuple[float, float] | None


def project(features: NDArray[np.float32], method: Projection = "pca") -> Flat:
    """The two directions of largest variance (PCA), or a map that keeps neighbours together (t-SNE).

    Args:
        features: [n, features], n at least 3.
        method: ``"pca"`` or ``"tsne"``.

    Source: Pearson (1901), "On lines and planes of closest fit"; van der Maaten and Hinton (2008), "Visualizing data
    using t-SNE", JMLR 9.
    """
    centred = features.astype(np.float64) - features.mean(0, dtype=np.float64)
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    if len(sizes) < 2:
        left, sizes = np.pad(left, ((0, 0), (0, 1))), np.pad(sizes, (0, 1))
        right = np.pad(right, ((0, 1), (0, 0)))
    # An axis may point either way; it points to where its largest loading is.
    signs = np.sign(right[[0, 1], np.abs(right[:2]).argmax(1)])
    points = left[:, :2] * sizes[:2] * np.where(signs == 0, 1, signs)
    total = float((sizes**2).sum()) or 1.0
    if method == "pca":
        return Flat(points, (float(sizes[0] ** 2 / total), float(sizes[1] ** 2 / total)))
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(features) - 1) / 3)
    embedded = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(features)
    return Flat(np.asarray(embedded, np.float64), None)
