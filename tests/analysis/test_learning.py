"""How many more images: curves of a study with sizes, what they promise, and images beside parameters."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import assay
from assay.analysis import learning_curves
from assay.cli import main
from assay.errors import SpecError
from assay.results.report_files import report_html
from assay.store.records import StudyRecord

from ..helpers import small_study
from ..recorded import with_spec

SIZES = (10, 20, 40, 80, 160)


def of_sizes(make_study, curves, *, sizes=SIZES, seeds: int = 5, **spec: object) -> StudyRecord:
    """A study whose arms lie on these curves, by network: accuracy as a function of images a class."""
    rng = np.random.default_rng(7)
    scores, arms = {}, {}
    for network, accuracy in curves.items():
        for size in sizes:
            name = f"images={size}, width={network}" if len(curves) > 1 else f"images={size}"
            per_class = 500 if size == "all" else size
            scores[name] = (accuracy(per_class) + rng.normal(0, 0.002, seeds)).tolist()
            arms[name] = {"images": str(size), **({"width": network} if len(curves) > 1 else {})}
    study = make_study(scores)
    study = with_spec(
        study, data={"name": "digits", "training": "{images} per class"},
        factors={"images": list(sizes), **({"width": list(curves)} if len(curves) > 1 else {})},
        network={"layers": ["conv {width} 1x1" if len(curves) > 1 else "relu", "flatten", "dense classes softmax"]},
        arms=[], **spec,
    )  # fmt: skip
    stored = [
        replace(
            arm, levels=arms[arm.name],
            spec={**arm.spec, "images": f"{arms[arm.name]['images']} per class", "levels": arms[arm.name]},
        )
        for arm in study.arms
    ]  # fmt: skip
    return replace(study, arms=tuple(stored))


def small(n: float) -> float:
    return 0.93 - 0.9 * n**-0.5


def large(n: float) -> float:
    return 0.98 - 1.0 * n**-0.5


def test_the_gain_is_what_the_curve_holds(make_study):
    study = of_sizes(make_study, {"4": small})
    found = learning_curves(study, more=160)
    (one,) = found.curves
    assert one.gain is not None
    assert one.gain.low <= small(320) - small(160) <= one.gain.high
    assert found.headline.startswith("160 more images a class would bring ")
    assert " points [" in found.headline
    assert found.as_dict()["curves"][0]["gain"]["mean"] == one.gain.mean


def test_as_many_again_are_asked_for_unless_told(make_study):
    assert learning_curves(of_sizes(make_study, {"4": small})).more == 160


def test_images_stand_beside_parameters(make_study):
    """Twice the images bring 0.264 n^-0.5 times 0.9 more; the larger network 0.05 - 0.1 n^-0.5: they meet at n = 53."""
    study = of_sizes(make_study, {"4": small, "16": large}, seeds=8)
    parameters = {arm.name: 100 if arm.levels["width"] == "4" else 1600 for arm in study.arms}
    (trade,) = learning_curves(study, parameters=parameters).trades
    assert (trade.small, trade.large) == ("width=4", "width=16")
    gain = lambda n: small(2 * n) - small(n) - (large(n) - small(n))  # noqa: E731
    crossing = next(n for n in np.geomspace(10, 160, 1000) if gain(n) < 0)
    assert trade.low <= crossing <= trade.high
    assert trade.images == pytest.approx(crossing, rel=0.25)
    assert "(100 to 1,600 parameters) up to about " in trade.sentence


def test_a_network_that_is_always_worth_less_is_said_to_be(make_study):
    study = of_sizes(make_study, {"4": small, "16": lambda n: small(n) + 0.0005})
    (trade,) = learning_curves(study).trades
    assert trade.sentence.startswith(
        "Twice the images are worth more than the step from width=4 to width=16 at every size"
    )


def test_all_images_are_a_size_where_classes_are_balanced(make_study):
    study = of_sizes(make_study, {"4": small}, sizes=(*SIZES, "all"))
    facts = {**study.data, "num_training": 5556, "classes": list("0123456789"), "largest_class": 0.11}
    found = learning_curves(replace(study, data=facts))
    assert found.curves[0].sizes[-1].images == pytest.approx(500, rel=0.01)
    unbalanced = learning_curves(replace(study, data={**facts, "largest_class": 0.4}))
    assert unbalanced.curves[0].sizes[-1].is_left_out
    assert unbalanced.curves[0].largest == 160
    assert "is left out of the curve" in unbalanced.notes[0]


def test_what_gives_no_curve_is_named(make_study):
    with pytest.raises(SpecError, match="a curve needs 4 sizes, and here are 3"):
        learning_curves(of_sizes(make_study, {"4": small}, sizes=(10, 20, 40)))
    with pytest.raises(SpecError, match="a curve needs 3 finished seeds at 4 sizes, and none has so many"):
        learning_curves(of_sizes(make_study, {"4": small}, seeds=2))
    with pytest.raises(SpecError, match="the number of training images is no factor"):
        learning_curves(make_study({"a": [0.9] * 6, "b": [0.9] * 6}))
    one_class = of_sizes(make_study, {"4": small})
    with pytest.raises(SpecError, match="all images are of one class"):
        learning_curves(replace(one_class, data={**one_class.data, "classes": ["only"], "largest_class": 1.0}))
    with pytest.raises(SpecError, match="got 0 more images"):
        learning_curves(of_sizes(make_study, {"4": small}), more=0)


def test_more_than_was_tried_is_said(make_study):
    notes = learning_curves(of_sizes(make_study, {"4": small}), more=10_000).notes
    assert any("bands have not been tried" in note for note in notes)


def test_a_study_with_sizes_from_its_file_to_its_curve_and_its_report(tmp_path: Path, capsys) -> None:
    study = small_study(
        data={"name": "digits", "validation": 0.2, "training": "{images} per class"},
        network={"layers": ["flatten", "dense classes softmax"]},
        factors={"images": [3, 6, 12, 24]},
        training={"epochs": 4, "batch_size": 16},
        seeds={"count": 3},
    )
    result = assay.run(study, store=tmp_path)
    found = result.curve(more=24)
    assert [size.images for size in found.curves[0].sizes] == [3, 6, 12, 24]
    assert found.curves[0].parameters == 650
    assert found.curves[0].gain is not None
    assert "How many more images" in report_html(result.record)
    with pytest.raises(SystemExit):
        main(["curve", "small", "--more", "24", "--store", str(tmp_path)])
    assert f"{found.headline}." in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit):
        main(["curve", "small", "--more", "24", "--store", str(tmp_path), "--json"])
    assert json.loads(capsys.readouterr().out)["curves"][0]["gain"]["mean"] == found.curves[0].gain.mean
