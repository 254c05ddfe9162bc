"""Keras is the yardstick of these tests; it runs on the torch backend, which must be named before its import."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
