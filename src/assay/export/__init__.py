"""Networks that leave Assay, and networks that answer: files that others can run, and predictions."""

from .predict import Ensemble as Ensemble
