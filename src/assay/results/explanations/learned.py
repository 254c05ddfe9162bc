"""Pictures of what a run's network learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...explain import figures
from ...explain.activations import activation_maps, strongest_images
from ...explain.attribution import integrated_gradients, occlusion, occlusion_window
from ...explain.choose import convolutions, kernel_layer, map_layer
from ...explain.gradcam import grad_cam
from ...explain.kernels import kernels_of
from ...explain.maximize import maximize_filters
from ...explain.mistakes import top_losses
from ...explain.picture import Picture
from ...explain.places import boxes_on
from ...explain.sanity import ALIKE, Method, sanity_check
from ...nets.build import Network
from ...numerals import counted
from .request import PictureRequest
from .subject import Shown, Subject, image_of

_MOST_LAYERS = 6
_SANITY_IMAGES = 4
_MOST_FILTERS = 32


def kernels(subject: Subject, request: PictureRequest) -> list[Picture]:
    """The kernels of a convolution, or of each of the first ones."""
    return [_kernels_of(subject, layer) for layer in _layers(subject, request)[:_MOST_LAYERS]]


def _kernels_of(subject: Subject, layer: str) -> Picture:
    values = kernels_of(subject.model.network, layer)
    filters, inputs, height, width = values.shape
    caption = (
        f"{counted(filters, 'filter')} of {counted(inputs, 'input channel')}, {height} x {width}. Rows are filters, "
        "columns are inputs; orange is above zero, blue below, on one scale for all kernels."
        if inputs > 4
        else f"{counted(filters, 'filter')} of {height} x {width}, by number"
        + (f", each with {inputs} input channels side by side" if inputs > 1 else "")
        + (" (blue, green, red)" if inputs == 3 and _is_reversed(subject) else "")
        + ". Orange is above zero, blue below, on one scale for all kernels."
    )
    data = {
        "layer": layer,
        "shape": list(values.shape),
        "largest": float(np.abs(values).max()),
        "norms": np.sqrt((values**2).sum((1, 2, 3))).round(6).tolist(),
    }
    return Picture(
        f"kernels-{layer}", f"Kernels of {layer}", caption,
        lambda theme: figures.kernel_grid(values, theme=theme), data,
    )  # fmt: skip


def _is_reversed(subject: Subject) -> bool:
    """Whether the network sees blue first."""
    base = subject.model.summary.base
    return base is not None and base.preparation.coding.is_reversed


def activations(subject: Subject, request: PictureRequest) -> list[Picture]:
    """One image on its way through the network."""
    shown = image_of(subject, request.image if request.image is not None else int(subject.places[0]))
    scaled = subject.scaled(shown.image[None])
    maps = activation_maps(subject.model.network, scaled[0])
    if not maps:
        kernel_layer(subject.model.summary)  # says that there is no convolution
    probabilities = subject.model.probabilities(shown.image[None])[0]
    prediction = _taken_for(subject, shown, probabilities)
    caption = (
        f"Image {shown.name}, {prediction}. The maps of every layer: orange is above zero, blue below, each layer on "
        "its own scale."
    )
    data: dict[str, Any] = {
        "image": shown.name,
        "probabilities": dict(zip(subject.classes, np.round(probabilities, 6).tolist(), strict=True)),
        "layers": {
            name: {"shape": list(values.shape), "highest": float(values.max()), "silent": _silent(values)}
            for name, values in maps.items()
        },
    }  # fmt: skip
    return [
        Picture(
            "activations", "An image on its way through the network", caption,
            lambda theme: figures.activation_sheet(shown.image, maps, data["probabilities"], theme=theme), data,
        )
    ]  # fmt: skip


def strongest(subject: Subject, request: PictureRequest) -> list[Picture]:
    """The images that excite each filter most."""
    return [_strongest_of(subject, layer) for layer in _first_and_last(subject, request)]


def _strongest_of(subject: Subject, layer: str) -> Picture:
    strongest = strongest_images(subject.model.network, subject.batches(), layer, count=6)
    strongest = replace(strongest, boxes=boxes_on(strongest.boxes, subject.seen, subject.model.shape[:2]))
    count = min(16, len(strongest.images))
    some = "" if count == len(strongest.images) else f" The first {count} of {len(strongest.images)} filters."
    caption = (
        f"The {subject.split} images that excite each filter of {layer} most, by filter number. The frame holds what "
        f"the filter saw there.{some}"
    )
    data = {
        "layer": layer,
        "images": subject.places[strongest.images].tolist(),
        "values": strongest.values.astype(float).round(5).tolist(),
        "silent": int((strongest.values[:, 0] <= 0).sum()),
    }
    return Picture(
        f"strongest-{layer}", f"Images that excite {layer} most", caption,
        lambda theme: figures.strongest_grid(subject.images, strongest, theme=theme), data,
    )  # fmt: skip


def maximized(subject: Subject, request: PictureRequest) -> list[Picture]:
    """The picture that each filter likes best."""
    return [_maximized_of(subject, layer) for layer in _first_and_last(subject, request)]


def _maximized_of(subject: Subject, layer: str) -> Picture:
    count = len(kernels_of(subject.model.network, layer))
    filters = range(min(count, _MOST_FILTERS))
    pictures = maximize_filters(subject.model.network, *subject.extremes(), layer, filters=filters)
    if _is_reversed(subject):
        pictures = pictures[..., ::-1]
    some = "" if len(filters) == count else f" The first {len(filters)} of {count} filters."
    caption = (
        f"What the middle of each map of {layer} likes best, by gradient ascent on the pixels from black to white: "
        f"{pictures.shape[1]} x {pictures.shape[2]} pixels, all that it sees. Grey does not matter to it.{some}"
    )
    return Picture(
        f"maximized-{layer}", f"What filters of {layer} like best", caption,
        lambda theme: figures.filters_at_best(pictures, theme=theme),
        {"layer": layer, "shape": list(pictures.shape)},
    )  # fmt: skip


def gradcam(subject: Subject, request: PictureRequest) -> list[Picture]:
    """Grad-CAM of mistakes and hits, or of one image."""
    layer = map_layer(subject.model.summary, request.layer)
    caption = (
        f"Where {layer} finds evidence for a class (Grad-CAM): the brighter the orange, the more, each map for itself."
    )

    def method(network: Network, images: Tensor, classes: Tensor) -> NDArray[np.float32]:
        return grad_cam(network, images, classes, layer)

    return [
        _evidence(subject, request, "gradcam", "Where the evidence lies: Grad-CAM", caption, method, is_signed=False)
    ]


def gradients(subject: Subject, request: PictureRequest) -> list[Picture]:
    """Integrated gradients of mistakes and hits, or of one image."""
    caption = (
        "Pixels that speak for a class (orange) and against it (blue), by integrated gradients from a black image, "
        "each map on its own scale."
    )
    method = _methods(subject)["integrated gradients"]
    return [_evidence(subject, request, "gradients", "Pixels that speak for a class", caption, method, is_signed=True)]


def covered(subject: Subject, request: PictureRequest) -> list[Picture]:
    """Occlusion maps of mistakes and hits, or of one image."""
    side, (height, width) = occlusion_window(subject.seen), subject.seen
    of = f" (of the {height} x {width} that the base sees)" if subject.seen != subject.model.shape[:2] else ""
    caption = (
        f"Orange: covering this part with a black square of {side} x {side} pixels{of} lowers the class's score. "
        "Blue: it raises it. Each map is on its own scale."
    )
    method = _methods(subject)["occlusion"]
    return [
        _evidence(subject, request, "occlusion", "What happens when a part is covered", caption, method, is_signed=True)
    ]


def sanity(subject: Subject, request: PictureRequest) -> list[Picture]:
    """Whether maps change when the network forgets."""
    images = subject.scaled(subject.images[:_SANITY_IMAGES])
    methods = _methods(subject)
    if convolutions(subject.model.summary):
        methods = {"Grad-CAM": lambda network, x, classes: grad_cam(network, x, classes, request.layer), **methods}
    checks = {name: sanity_check(subject.model.network, images, method) for name, method in methods.items()}
    passed = [name for name, check in checks.items() if check.is_sensitive]
    insensitive = [name for name, check in checks.items() if not check.is_sensitive]
    verdict = (f" Maps change as they should: {', '.join(passed)}." if passed else "") + (
        f" Maps stay alike without what was learned, so read them with care: {', '.join(insensitive)}."
        if insensitive
        else ""
    )
    caption = (
        f"Mean rank correlation of {counted(len(images), 'map')} with those of the trained network, as its layers are "
        f"randomised from the top. A map that shows what was learned falls below {ALIKE} (a rule of thumb).{verdict}"
    )
    data = {
        name: {"layers": list(check.layers), "correlations": list(check.correlations), "sensitive": check.is_sensitive}
        for name, check in checks.items()
    }
    return [
        Picture(
            "sanity", "Do the maps show what was learned?", caption,
            lambda theme: figures.sanity_lines(checks, theme=theme), data,
        )
    ]  # fmt: skip


def _methods(subject: Subject) -> dict[str, Method]:
    black, _ = subject.extremes()
    return {
        "integrated gradients": lambda network, x, classes: integrated_gradients(network, x, classes, baseline=black),
        "occlusion": lambda network, x, classes: occlusion(network, x, classes, baseline=black),
    }


def _evidence(
    subject: Subject, request: PictureRequest, name: str, title: str, caption: str, method: Method, *, is_signed: bool
) -> Picture:
    shown = _examples(subject) if request.image is None else [image_of(subject, request.image)]
    images = np.stack([example.image for example in shown])
    probabilities = subject.model.probabilities(images)
    predicted = probabilities.argmax(1)
    own = np.array(
        [example.label if example.label is not None else taken for example, taken in zip(shown, predicted, strict=True)]
    )
    scaled = subject.scaled(images)
    for_predicted = subject.on_images(method(subject.model.network, scaled, torch.from_numpy(predicted)))
    wrong = np.flatnonzero(own != predicted)
    for_own: list[NDArray[np.float32] | None] = [None] * len(shown)
    if len(wrong):
        heatmaps = subject.on_images(method(subject.model.network, scaled[wrong], torch.from_numpy(own[wrong])))
        for at, heat in zip(wrong, heatmaps, strict=True):
            for_own[at] = heat

    def note(at: int, label: int) -> str:
        return f"{_cut(subject.classes[label])} ({100 * probabilities[at, label]:.0f} %)"

    rows: dict[str, Any] = {"for what it\nis taken for": list(for_predicted)}
    notes = {"for what it\nis taken for": [note(at, label) for at, label in enumerate(predicted)]}
    if len(wrong):
        rows["for its\nown class"] = for_own
        notes["for its\nown class"] = [note(at, label) for at, label in enumerate(own)]
    titles = [
        f"{example.name}\n{_cut(subject.classes[example.label])}" if example.label is not None else example.name
        for example in shown
    ]
    trained = " The network trained on this image." if any(example.is_trained for example in shown) else ""
    which = "" if request.image is not None else " First the costliest mistakes, then images that it gets right."
    data = [
        {
            "image": example.name,
            "class": subject.classes[example.label] if example.label is not None else None,
            "predicted": subject.classes[taken],
            "probability": float(probabilities[at, taken]),
            "peak": [int(i) for i in np.unravel_index(int(for_predicted[at].argmax()), for_predicted[at].shape)],
        }
        for at, (example, taken) in enumerate(zip(shown, predicted, strict=True))
    ]
    draw: Callable[[figures.Theme], Any] = lambda theme: figures.evidence_panels(  # noqa: E731
        images, titles, rows, is_signed=is_signed, notes=notes, theme=theme
    )
    return Picture(name, title, f"{caption}{which}{trained}", draw, {"images": data})


def _examples(subject: Subject) -> list[Shown]:
    """The costliest mistakes, and the first images that are classified correctly."""
    costly = [at for at in top_losses(subject.probabilities, subject.labels, count=4) if _is_wrong(subject, at)]
    right = np.flatnonzero(subject.predicted == subject.labels)[: 6 - len(costly)]
    return [Shown(subject.images[at], int(subject.labels[at]), f"#{subject.places[at]}") for at in [*costly, *right]]


def _is_wrong(subject: Subject, at: int) -> bool:
    return bool(subject.predicted[at] != subject.labels[at])


def _cut(name: str) -> str:
    return name if len(name) <= 11 else f"{name[:10]}…"


def _silent(values: NDArray[np.float32]) -> int:
    """Maps that are nowhere above zero."""
    return int((values.max((1, 2)) <= 0).sum())


def _taken_for(subject: Subject, shown: Shown, probabilities: NDArray[np.float32]) -> str:
    at = int(probabilities.argmax())
    taken = f"{subject.classes[at]} with {100 * probabilities[at]:.1f} %"
    if shown.label is None:
        return f"taken for {taken}"
    trained = ", which the network trained on" if shown.is_trained else ""
    return f"{subject.classes[shown.label]}{trained}, taken for {taken}"


def _layers(subject: Subject, request: PictureRequest) -> list[str]:
    if request.layer is None:
        kernel_layer(subject.model.summary)
        return list(convolutions(subject.model.summary))
    return [kernel_layer(subject.model.summary, request.layer)]


def _first_and_last(subject: Subject, request: PictureRequest) -> list[str]:
    layers = _layers(subject, request)
    return list(dict.fromkeys([layers[0], layers[-1]]))
