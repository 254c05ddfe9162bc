"""Networks as LiteRT files (TensorFlow Lite's format), in float32 and in 8 bits."""

from .answers import litert_answer as litert_answer
from .write import write_litert as write_litert
from .write import write_litert_int8 as write_litert_int8
