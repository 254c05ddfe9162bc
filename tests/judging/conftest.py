"""Studies with known numbers: see ``tests/recorded.py``."""

from ..recorded import make_study as make_study
