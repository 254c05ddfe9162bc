"""Python code that makes sets of classes and refuses pictures with ``answers.json``, with NumPy alone."""

from __future__ import annotations

_CODE = '''import json

import numpy as np

with open("answers.json") as file:
    answers = json.load(file)


def class_set(probabilities, draw):
    """Names of the classes in the set of one image. draw: uniform in 0 to 1, anew for each image."""
    rule, p = answers["sets"], np.asarray(probabilities, float)
    order = np.argsort(-p, kind="stable")
    scores = np.empty_like(p)
    if rule["method"] == "threshold":
        scores = 1 - p
    else:
        penalty = 0.01 * np.maximum(np.arange(1, len(p) + 1) - 2, 0) if rule["method"] == "regularized" else 0
        scores[order] = np.cumsum(p[order]) - p[order] + draw * p[order] + penalty
    chosen = scores <= np.array(rule["thresholds"])
    if rule["never_empty"] and not chosen.any():
        chosen[order[0]] = True
    return [answers["classes"][label] for label in np.flatnonzero(chosen)]
'''
_REFUSAL = '''

def is_refused(unlike):
    """Whether a picture is unlike the data. unlike: the output of that name of model.onnx."""
    return unlike > answers["refusal"]["refuse_above"]
'''


def answer_code(*, has_sets: bool, has_refusal: bool) -> str:
    """The code, as far as it is needed.

    Args:
        has_sets: Whether ``answers.json`` holds a rule for sets.
        has_refusal: Whether it holds one for refusal.
    """
    head, function = _CODE.split("\n\n\ndef ", 1)
    return head + (f"\n\n\ndef {function}" if has_sets else "\n") + (_REFUSAL if has_refusal else "")
