"""Pictures say what their arrays hold: what is drawn is read back from the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from assay.explain import figures
from assay.explain.activations import Strongest
from assay.explain.agreement import agreement
from assay.explain.calibration import Rejection, calibration, rejection
from assay.explain.figures.mosaic import mosaic
from assay.explain.figures.style import look, rising, signed, styled
from assay.explain.mistakes import class_scores
from assay.explain.picture import Picture
from assay.explain.projection import Flat
from assay.explain.sanity import Sanity

CLASSES = ["cat", "dog", "a class with quite a long name", "$5"]
CONFUSION = np.array([[50, 3, 0, 0], [9, 40, 0, 0], [0, 0, 7, 1], [0, 0, 0, 0]])


def texts(figure: Figure) -> list[str]:
    """Every text that is shown, in figures within it too."""
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    found += [label.get_text() for axes in figure.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())]
    return found + [axes.get_title(loc) for axes in figure.axes for loc in ("left", "center")]


def test_a_mosaic_puts_every_tile_where_it_belongs() -> None:
    tiles = np.arange(5 * 2 * 3).reshape(5, 2, 3)
    sheet = mosaic(tiles, 2, gap=1)
    assert sheet.shape == (3 * 3 - 1, 2 * 4 - 1)
    np.testing.assert_array_equal(sheet[3:5, 4:7], tiles[3])
    assert np.isnan(sheet[2]).all()
    assert np.isnan(sheet[6:, 4:]).all()


@pytest.mark.parametrize("shape", [(16, 16, 3, 3), (8, 1, 5, 5), (40, 3, 3, 3), (1, 1, 3, 3), (3, 40, 1, 1)])
def test_every_kernel_is_drawn_on_one_symmetric_scale(shape: tuple[int, ...]) -> None:
    kernels = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    figure = figures.kernel_grid(kernels)
    (picture,) = figure.axes[0].images
    sheet: Any = picture.get_array()
    shown = kernels[:32, :32]
    assert picture.get_clim() == pytest.approx((-np.abs(shown).max(), np.abs(shown).max()))
    drawn = np.sort(np.ma.masked_invalid(sheet).compressed())
    np.testing.assert_allclose(drawn, np.sort(shown.ravel()), rtol=1e-6)
    if shape == (16, 16, 3, 3):  # rows are filters, columns are inputs
        np.testing.assert_allclose(sheet[4 * 5 : 4 * 5 + 3, 4 * 2 : 4 * 2 + 3], kernels[5, 2], rtol=1e-6)
        assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [str(at) for at in range(16)]
    width, height = figure.get_size_inches()
    assert width < 8
    assert height < 12


def test_a_confusion_shows_its_numbers_and_colours_mistakes_alone() -> None:
    figure = figures.confusion_panels(CONFUSION, CLASSES)
    counts, rates = figure.axes
    assert sorted(text.get_text() for text in counts.texts) == sorted(["50", "3", "9", "40", "7", "1"])
    assert {text.get_text() for text in rates.texts} >= {"94.3", "5.7", "12.5"}
    drawn: Any = counts.images[0].get_array()
    assert np.isnan(np.ma.filled(drawn, np.nan).diagonal()).all()
    assert counts.images[0].get_clim() == (0, 9)
    names = [label.get_text() for label in counts.get_yticklabels()]
    assert names == ["cat", "dog", "a class with …", r"\$5"]


def test_many_classes_stay_readable() -> None:
    confusion = np.eye(60, dtype=np.int64)
    figure = figures.confusion_grid(confusion, [f"class {at}" for at in range(60)])
    assert not figure.axes[0].texts
    assert not figure.axes[0].get_xticks().size or len(figure.axes[0].get_xticks()) < 20


def test_class_scores_stand_with_the_weakest_on_top() -> None:
    figure = figures.class_dots(class_scores(CONFUSION), CLASSES)
    (axes,) = figure.axes
    lines = {line.get_label(): line.get_xdata() for line in axes.lines}
    f1 = np.asarray(lines["F1"], dtype=float)
    shown = f1[~np.isnan(f1)]
    assert shown.tolist() == sorted(shown, reverse=True)
    assert {"precision", "recall", "F1"} <= {str(label) for label in lines}


def test_a_calibration_is_drawn_with_its_intervals() -> None:
    rng = np.random.default_rng(1)
    sure = rng.uniform(0.5, 1, 400)
    found = calibration(np.stack([sure, 1 - sure], 1).astype(np.float32), (rng.uniform(size=400) > sure).astype(int))
    figure = figures.calibration_curve(found)
    axes = figure.axes[0]
    used = found.counts > 0
    points = next(line for line in axes.lines if line.get_marker() == "o")
    np.testing.assert_allclose(np.asarray(points.get_xdata(), float), 100 * found.confidence[used])
    np.testing.assert_allclose(np.asarray(points.get_ydata(), float), 100 * found.accuracy[used])
    assert f"expected calibration error {100 * found.error:.2g} %" in axes.get_title("left")
    assert not axes.texts  # nothing lies over the points


def everything() -> dict[str, Any]:
    """A figure of every kind, by name, from a theme."""
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (12, 9, 7, 3), dtype=np.uint8)
    labels, predicted = np.arange(12) % 4, np.arange(12) % 3
    probabilities = rng.dirichlet(np.ones(4), 12).astype(np.float32)
    strongest = Strongest(labels.reshape(3, 4), np.ones((3, 4), np.float32), np.tile([-1, 2, 4, 9], (3, 4, 1)))
    agreed = agreement(rng.uniform(size=(3, 12)) > 0.4)
    sanity = {
        "Grad-CAM": Sanity(("dense1", "conv1"), (0.3, 0.1), 4),
        "other": Sanity(("dense1", "conv1"), (0.9, 0.1), 4),
    }
    heat = rng.uniform(size=(9, 7)).astype(np.float32)
    pair = figures.PairRow("cat", "$5", 3, 0, images[:3], images[:0])
    return {
        "confusion": lambda theme: figures.confusion_panels(CONFUSION, CLASSES, theme=theme),
        "classes": lambda theme: figures.class_dots(class_scores(CONFUSION), CLASSES, theme=theme),
        "pairs": lambda theme: figures.pair_rows([pair, pair], theme=theme),
        "gallery": lambda theme: figures.image_gallery(images, [f"#{at}\n$5 as cat" for at in range(12)], theme=theme),
        "calibration": lambda theme: figures.calibration_curve(calibration(probabilities, labels), theme=theme),
        "rejection": lambda theme: figures.rejection_curve(rejection(probabilities, labels), theme=theme),
        "agreement": lambda theme: figures.agreement_panels(
            agreed, (images[:9], ["#1"] * 9), (images[:0], []), theme=theme
        ),
        "features": lambda theme: figures.feature_map(
            Flat(rng.normal(size=(12, 2)), (0.5, 0.2)), labels, predicted, CLASSES, theme=theme
        ),
        "kernels": lambda theme: figures.kernel_grid(rng.normal(size=(5, 2, 3, 3)).astype(np.float32), theme=theme),
        "activations": lambda theme: figures.activation_sheet(
            images[0], {"conv1": rng.normal(size=(20, 5, 3))}, {"cat": 0.9, "$5": 0.1}, theme=theme
        ),
        "strongest": lambda theme: figures.strongest_grid(images, strongest, theme=theme),
        "maximized": lambda theme: figures.filters_at_best(
            rng.uniform(size=(9, 4, 3, 1)).astype(np.float32), theme=theme
        ),
        "evidence": lambda theme: figures.evidence_panels(
            images[:2], ["#1\ncat", "$5"], {"for it": [heat, None]}, is_signed=False, theme=theme
        ),
        "signed evidence": lambda theme: figures.evidence_panels(
            images[:1] / np.float32(255), ["#1"], {"for it": [heat - 0.5]}, is_signed=True, theme=theme
        ),
        "sanity": lambda theme: figures.sanity_lines(sanity, theme=theme),
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(everything()))
def test_every_picture_has_its_theme_and_no_text_on_another(name: str) -> None:
    draw = everything()[name]
    assert draw("dark").get_facecolor()[:3] == pytest.approx(to_rgb(look("dark").paper))
    figure: Figure = draw("light")
    assert figure.get_facecolor()[:3] == pytest.approx(to_rgb(look("light").paper))
    canvas = FigureCanvasAgg(figure)
    with styled("light"):
        canvas.draw()
    boxes = [
        text.get_window_extent(canvas.get_renderer())
        for axes in figure.axes
        for text in [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels(), axes.title, axes.xaxis.label]
        if text.get_visible() and text.get_text() and axes.axison and name != "features"
    ]
    clashes = [(a, b) for at, a in enumerate(boxes) for b in boxes[:at] if a.padded(-2).overlaps(b.padded(-2))]
    assert not clashes


@pytest.mark.parametrize("name", ["classes", "calibration", "confusion"])
def test_single_plots_are_drawn_on_given_axes(name: str) -> None:
    mine = Figure()
    ax = mine.subplots()
    drawn = {
        "classes": lambda: figures.class_dots(class_scores(CONFUSION), CLASSES, ax=ax),
        "calibration": lambda: figures.calibration_curve(
            calibration(np.array([[0.9, 0.1]], np.float32), np.array([0])), ax=ax
        ),
        "confusion": lambda: figures.confusion_grid(CONFUSION, CLASSES, ax=ax),
    }[name]()
    assert drawn is mine
    assert len(mine.axes) == 1
    assert ax.lines or ax.images


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_two_ends_of_a_scale_differ_for_every_reader(theme: Any) -> None:
    """Blue against orange: far apart for readers without red or green cones too (Machado et al. 2009, severity 1)."""
    protan = np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    )
    deutan = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]])
    low, high = (np.array(signed(theme)(share)[:3]) for share in (0.2, 0.8))
    for sees in (np.eye(3), protan, deutan):
        assert np.linalg.norm(sees @ low - sees @ high) > 0.45
    brightness = [np.mean(rising(theme)(share)[:3]) for share in np.linspace(0, 1, 9)]
    steps = np.diff(brightness)
    assert (steps < 0).all() if theme == "light" else (steps > 0).all()


def test_a_picture_is_a_file_the_same_every_time(tmp_path: Path) -> None:
    picture = Picture("p", "A <title>", 'Says "this".', everything()["kernels"])
    one = Picture("confusion", "A <title>", 'Says "this".', everything()["confusion"])
    assert one.encoded() == one.encoded()
    assert one.encoded("svg") == one.encoded("svg")
    assert one.encoded() != one.encoded(theme="dark")
    assert picture.save(tmp_path / "deep" / "p.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in picture.save(tmp_path / "p.svg").read_bytes()
    shown = one._repr_html_()
    assert "A &lt;title&gt;" in shown
    assert 'alt="Says &quot;this&quot;."' in shown


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5, 0.9])
def test_labels_of_the_confidence_curve_keep_off_the_axes(share: float) -> None:
    """Wherever 99 % are reached."""
    kept = np.arange(1, 1001) / 1000
    accuracy = np.where(kept <= share, 0.995, 0.995 - 0.3 * (kept - share))
    figure = figures.rejection_curve(Rejection(kept, accuracy, 1 - kept))
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    frame = axes.get_window_extent()
    assert len(axes.texts) >= 2
    for text in axes.texts:
        box = text.get_window_extent()
        assert frame.x0 <= box.x0
        assert box.x1 <= frame.x1
        assert frame.y0 <= box.y0
        assert box.y1 <= frame.y1


@pytest.mark.parametrize("count", [1, 5, 9, 10, 300])
def test_the_axis_of_counts_has_two_numbers(count: int) -> None:
    probabilities = np.tile(np.array([[0.9, 0.1]], np.float32), (count, 1))
    figure = figures.calibration_curve(calibration(probabilities, np.zeros(count, np.int64)))
    FigureCanvasAgg(figure).draw()
    (counts,) = figure.axes[0].child_axes
    low, high = counts.get_ylim()
    assert len({tick for tick in counts.get_yticks() if low <= tick <= high}) == 2
