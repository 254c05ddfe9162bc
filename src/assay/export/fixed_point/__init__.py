"""Trained networks as fixed-point programs: quantized, computed in NumPy, written as C."""

from .c_source import source_of as source_of
from .program import Program as Program
from .quantize import quantize as quantize
