"""The report's figures for papers and slides: drawn with Matplotlib, without a browser."""

from .draw import drawn as drawn
from .save import FORMATS as FORMATS
from .save import PaperFormat as PaperFormat
from .save import saved as saved
from .save import width_of as width_of
from .styles import WIDTHS as WIDTHS
