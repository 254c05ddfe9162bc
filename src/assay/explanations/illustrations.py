"""The pictures of a run that its study's report shows."""

from __future__ import annotations

from ..errors import InputError
from ..explain.picture import Picture
from ..models import Model
from .explain import MAKERS
from .subject import subject_of
from .wishes import Wishes

# Where it fails, then what it looks at; what takes longest, or needs an image of one's own, is left to `assay explain`.
SHOWN = ("confusion", "pairs", "losses", "calibration", "agreement", "kernels", "gradcam", "sanity")


def illustrations(model: Model) -> tuple[Picture, ...]:
    """What can be made of a run, of those that a report shows.

    Raises:
        DataError: The data are gone or have changed.
    """
    subject, wishes = subject_of(model, "validation"), Wishes(None, None, "pca")
    pictures: list[Picture] = []
    for name in SHOWN:
        try:
            pictures += MAKERS[name](subject, wishes)
        except InputError:  # a network without kernels, one seed: there is nothing to show
            continue
    return tuple(pictures)
