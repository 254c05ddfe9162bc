"""The rules of ``assay diagnose``: each a pure function of curves that returns a diagnosis or ``None``."""

from .data import duplicates as duplicates
from .data import faint_inputs as faint_inputs
from .data import unlike_validation as unlike_validation
from .data import unrelated_labels as unrelated_labels
from .data import unscaled as unscaled
from .data import validation_better as validation_better
from .fit import lucky_epoch as lucky_epoch
from .fit import not_converged as not_converged
from .fit import overfitting as overfitting
from .fit import shows_its_course as shows_its_course
from .fit import underfitting as underfitting
from .predictions import collapsed as collapsed
from .predictions import majority_only as majority_only
from .predictions import never_predicted as never_predicted
from .rates import diverged as diverged
from .rates import rate_too_high as rate_too_high
from .rates import rate_too_low as rate_too_low
from .rates import small_batch as small_batch
from .restraint import strong_augmentation as strong_augmentation
from .restraint import strong_decay as strong_decay
from .restraint import strong_dropout as strong_dropout
from .signal import bounded_scores as bounded_scores
from .signal import dead_units as dead_units
from .signal import saturated_units as saturated_units
from .signal import stale_statistics as stale_statistics
from .signal import vanishing_gradients as vanishing_gradients
