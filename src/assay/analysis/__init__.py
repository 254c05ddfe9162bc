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
from .fallen import fallen_sentences as fallen_sentences
from .look_record import look_record as look_record
from .opened import elsewhere as elsewhere
from .opened import looks_at_test as looks_at_test
from .robustness import Robustness as Robustness
from .robustness import robustness_of as robustness_of
from .robustness import seeds_compared as seeds_compared
from .scores import ArmScores as ArmScores
from .scores import arm_scores as arm_scores
from .scores import best_arm as best_arm
from .scores import failure_sentence as failure_sentence
from .standings import Decision as Decision
from .standings import Standing as Standing
from .standings import standing as standing
from .standings import stop_sentences as stop_sentences
from .standings import study_standing as study_standing
