"""Everything that can be asked of a stored study or run."""

from .result import Result as Result
from .run import Run as Run
from .run import export as export
from .run import find as find
from .run import predict as predict
