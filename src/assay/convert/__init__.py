"""Imports Keras models from memory, from .keras files and from source code, as layer words."""

from .keras_file import read_keras as read_keras
from .keras_live import from_keras as from_keras
from .reader import Source as Source
from .source import read_source as read_source
from .study import study_of as study_of
from .weights import Imported as Imported
