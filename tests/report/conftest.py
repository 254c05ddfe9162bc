"""Studies with known numbers: see ``tests/recorded.py``."""

from ..recorded import make_study as make_study
from ..recorded import page_of as page_of
from ..recorded import render_study as render_study
