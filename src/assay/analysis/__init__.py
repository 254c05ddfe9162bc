"""What a study's records say: scores, contrasts, looks, comparisons, diagnoses, and the answer in words."""

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
from .looks import Decision as Decision
from .looks import Standing as Standing
from .looks import standing as standing
from .looks import stop_sentences as stop_sentences
from .looks import study_standing as study_standing
from .scores import ArmScores as ArmScores
from .scores import arm_scores as arm_scores
from .scores import best_arm as best_arm
from .scores import failure_sentence as failure_sentence
