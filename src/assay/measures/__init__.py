"""Measures of predictions: value, direction, unit, and what each image adds. Arrays in, numbers out."""

from .classification import recalls as recalls
from .known import ACCURACY as ACCURACY
from .known import class_label as class_label
from .known import is_higher_better as is_higher_better
from .known import is_share as is_share
from .known import measure_called as measure_called
from .measure import Measure as Measure
from .own import own_measure as own_measure
from .predictions import Predictions as Predictions
from .reported import ReportedMeasure as ReportedMeasure
from .unit import NATS as NATS
from .unit import NUMBER as NUMBER
from .unit import PERCENT as PERCENT
from .unit import Unit as Unit
