"""Study files to begin with: templates, filled in for the user's images."""

from .templates import TEMPLATES as TEMPLATES
from .templates import DataAnswer as DataAnswer
from .templates import Template as Template
from .templates import data_answer as data_answer
from .templates import study_text as study_text
