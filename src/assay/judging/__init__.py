"""Results that Assay did not train, judged as a study's are: tables, trackers' folders, saved predictions."""

from .export import score_frame as score_frame
from .judge import judge as judge
from .judge import parts_of as parts_of
from .judgement import Judgement as Judgement
from .recorded import judged_studies as judged_studies
from .sources import FORMS as FORMS
