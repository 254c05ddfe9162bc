"""Facts of an arm's design that diagnoses ask for."""

from __future__ import annotations

from assay.spec import Arm
from assay.stats.protocol import Protocol
from assay.store.protocol import protocol_of


def arm(layers: list[object], **training: object) -> Arm:
    return Arm.of({"name": "a", "layers": layers, "training": training})


def test_settings_are_found_within_blocks():
    inner = ["conv 8 3x3 padding=same l2=0.01", "batchnorm momentum=0.9", "relu"]
    blocks = [
        {"repeat": 2, "layers": [{"residual": inner, "shortcut": ["conv 8 1x1"]}]},
        {"parallel": [["dropout 0.3"], ["spatialdropout 0.5"]], "join": "add"},
    ]
    layers = [*blocks, "flatten", "dense classes softmax"]
    facts = protocol_of(arm(layers, batch_size=4, ema_momentum=0.99))
    assert facts == Protocol(
        batch_size=4, dropout=0.5, decay=("l2=0.01",), norm_momentum=0.9, average_momentum=0.99
    )  # fmt: skip


def test_augmentation_and_decay_are_named_as_files_write_them():
    optimizer = {"name": "adamw", "weight_decay": 0.1}
    varied = {"rotation": 30, "flip": "horizontal"}
    facts = protocol_of(arm(["flatten", "dense classes softmax"], optimizer=optimizer, augmentation=varied))
    assert facts.augmentation == ("rotation 30", "flip horizontal")
    assert facts.decay == ("weight_decay = 0.1",)


def test_an_activation_between_the_last_layer_and_softmax_is_seen():
    assert protocol_of(arm(["flatten", "dense classes sigmoid", "softmax"])).bounded_scores == "sigmoid"
    assert protocol_of(arm(["flatten", "dense classes", "tanh", "softmax"])).bounded_scores == "tanh"
    assert protocol_of(arm(["flatten", "dense classes", "softmax"])).bounded_scores == ""
    assert protocol_of(arm(["flatten", "dense 8 tanh", "dense classes softmax"])).bounded_scores == ""


def test_a_network_that_normalizes_its_input_does_not_mind_bytes():
    assert protocol_of(arm(["batchnorm", "flatten", "dense classes softmax"])).begins_with_norm
    assert not protocol_of(arm(["flatten", "batchnorm", "dense classes softmax"])).begins_with_norm
