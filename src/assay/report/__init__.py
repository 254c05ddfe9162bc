"""What a study found, for people: one HTML file, a notebook's table, pandas frames."""

from .answer import Answer as Answer
from .answer import answer as answer
from .answer import retrained_sentences as retrained_sentences
from .comparison import Comparison as Comparison
from .comparison import compare_study as compare_study
from .contrasts import Contrast as Contrast
from .contrasts import contrasts as contrasts
from .diagnoses import Diagnoses as Diagnoses
from .diagnoses import curves_of as curves_of
from .diagnoses import diagnose_study as diagnose_study
from .frames import epochs_frame as epochs_frame
from .frames import runs_frame as runs_frame
from .html import render as render
from .html import summary_html as summary_html
from .inputs import Gallery as Gallery
from .inputs import LayerRow as LayerRow
from .inputs import NetworkTable as NetworkTable
from .scores import ArmScores as ArmScores
from .scores import arm_scores as arm_scores
from .scores import best_arm as best_arm
from .scores import failure_sentence as failure_sentence
from .search import search_sentences as search_sentences
from .search import search_values as search_values
from .write import write_report as write_report
