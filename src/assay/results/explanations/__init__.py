"""What a finished run learned and where it fails, as pictures."""

from .explain import MAKERS as MAKERS
from .explain import explain as explain
from .explanation import Explanation as Explanation
from .illustrate import illustrations as illustrations
from .illustrate import report_pictures as report_pictures
from .request import PictureOptions as PictureOptions
from .request import PictureRequest as PictureRequest
