from __future__ import annotations

import dataclasses

import pytest

from assay.report import bibtex, references

from ..recorded import with_arms, with_spec

A = (0.980, 0.982, 0.981, 0.979, 0.983, 0.980, 0.981)
B = (0.983, 0.986, 0.983, 0.983, 0.985, 0.984, 0.983)


def keys(study):
    return {reference.key for reference in references(study)}


def with_training(study, **training):
    return with_arms(study, training=training)


def test_a_study_cites_its_data_its_layers_and_its_tests(make_study):
    study = with_arms(
        make_study({"a": A, "b": B}),
        layers=["conv 8 3x3 relu", "batchnorm", "dropout 0.5"],
        training={"optimizer": "adam"},
    )
    found = references(study)
    assert found[0].key == "lecun1998gradient"
    assert keys(study) >= {
        "glorot2010understanding", "ioffe2015batch", "srivastava2014dropout", "kingma2015adam", "student1908probable",
        "fisher1935design", "wilson1927probable",
    }  # fmt: skip
    assert not keys(study) & {"holm1979simple", "ba2016layer", "zeiler2012adadelta", "boschloo1970raised"}
    assert bibtex(found).count("\n@") == len(found) - 1


@pytest.mark.parametrize(
    ("training", "key"),
    [
        ({"optimizer": {"name": "rmsprop", "learning_rate": 1e-4}}, "tieleman2012lecture"),
        ({"schedule": {"name": "cosine"}}, "loshchilov2017sgdr"),
        ({"label_smoothing": 0.1}, "szegedy2016rethinking"),
        ({"augmentation": {"mixup": 0.2}}, "zhang2018mixup"),
        ({"augmentation": {"cutmix": 1.0}}, "yun2019cutmix"),
        ({"swa": {"start": 0.75}}, "izmailov2018averaging"),
        ({"ensemble": 3}, "lakshminarayanan2017simple"),
        ({"distillation": {"teacher": "b"}}, "hinton2015distilling"),
        ({"early_stopping": {"patience": 2}}, "prechelt1998early"),
    ],
)
def test_settings_are_cited_where_they_are_used(make_study, training, key):
    study = make_study({"a": A, "b": B})
    off = {"label_smoothing": 0.0, "early_stopping": "none", "augmentation": None}
    assert key in keys(with_training(study, **training))
    assert key not in keys(with_training(study, **off))


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ({"name": "vgg16", "weights": "imagenet"}, {"simonyan2015very", "russakovsky2015imagenet"}),
        ({"name": "vgg19", "weights": "weights/vgg19.h5"}, {"simonyan2015very"}),
        (
            {"name": "vgg19", "weights": "w/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"},
            {"simonyan2015very", "russakovsky2015imagenet"},
        ),
        (
            {"name": "mobilenetv2", "weights": "mobilenet_v2-b0353104.pth"},
            {"sandler2018mobilenetv2", "russakovsky2015imagenet"},
        ),
        ({"name": "squeezenet", "weights": "random"}, {"iandola2016squeezenet"}),
        ({"name": "squeezenet"}, {"iandola2016squeezenet", "russakovsky2015imagenet"}),
        ({"name": "resnet18", "weights": "imagenet"}, {"he2016deep", "russakovsky2015imagenet"}),
        ({"name": "mobilenetv2", "weights": "imagenet"}, {"sandler2018mobilenetv2", "russakovsky2015imagenet"}),
        ({"weights": "run:abcdef"}, set()),
        (None, set()),
    ],
)
def test_a_base_and_what_it_was_trained_on_are_cited(make_study, base, expected):
    study = make_study({"a": A})
    every = {
        "simonyan2015very", "iandola2016squeezenet", "he2016deep", "sandler2018mobilenetv2", "russakovsky2015imagenet",
    }  # fmt: skip
    assert keys(with_arms(study, base=base)) & every == expected


def test_verdicts_cite_what_they_used(make_study):
    three = make_study({"a": A, "b": B, "c": A})
    assert {"holm1979simple", "demsar2006statistical"} <= keys(three)
    growing = with_spec(three, seeds={"stop": "decided", "margin": 0.1})
    assert {"lan1983discrete", "schuirmann1987comparison"} <= keys(growing)
    assert {"lan1983discrete", "holm1979simple"} <= keys(
        growing
    )  # arms share one error rate while they stop by themselves


def test_data_of_ones_own_have_no_entry(make_study):
    study = make_study({"a": A})
    assert not any(
        one.use.startswith("data set") for one in references(dataclasses.replace(study, data={"name": "mine"}))
    )


def test_an_entry_reads_as_people_write_it(make_study):
    by_key = {one.key: one for one in references(make_study({"a": A, "b": B, "c": A}))}
    ranks = by_key["demsar2006statistical"]
    assert (ranks.authors, ranks.year, ranks.where) == ("Demšar", "2006", "Journal of Machine Learning Research")
    assert by_key["lecun1998gradient"].authors == "LeCun and others"
    assert by_key["student1908probable"].authors == "Student"


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("prelu per=channel", "he2015delving"),
        ("BatchNormalization", "ioffe2015batch"),
        ("dense 8 gelu", "hendrycks2016gaussian"),
        ("SeparableConv2D 8 3x3", "chollet2017xception"),
        ({"residual": ["conv 1 1x1"]}, "he2016deep"),
    ],
)
def test_words_are_cited_however_they_are_spelled(make_study, line, key):
    study = make_study({"a": A, "b": B})
    assert key in keys(with_arms(study, layers=[line]))
    assert key not in keys(with_arms(study, layers=["dense 8 relu"]))


def test_every_citation_has_its_entry():
    from assay.nets.layers import CITATIONS
    from assay.report.references import _entries

    assert {citation.key for citation in CITATIONS.values()} <= set(_entries())
