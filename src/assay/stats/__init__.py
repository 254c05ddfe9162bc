"""Estimates that carry their n and interval, and refuse when there is too little to go on."""

from .intervals import Interval as Interval
from .intervals import mean_interval as mean_interval
from .many import holm as holm
from .paired import MIN_PAIRS as MIN_PAIRS
from .paired import PairedDifference as PairedDifference
from .paired import paired_difference as paired_difference
from .paired import sign_flip_p as sign_flip_p
from .verdicts import ALPHA as ALPHA
from .verdicts import Outcome as Outcome
from .verdicts import outcome as outcome
from .verdicts import pairs_needed as pairs_needed
from .verdicts import refusal as refusal
from .verdicts import verdict as verdict
