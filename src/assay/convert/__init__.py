"""Converts Keras models from memory, from files and from literal source code to layer words and studies."""

from .keras_live import from_keras as from_keras
from .model_file import read_keras as read_keras
from .source import read_source as read_source
from .weights import Imported as Imported
