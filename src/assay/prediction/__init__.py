"""From a picture to a network's answer: the input reader, framing, calibration, ensembles."""

from .calibrate import Calibration as Calibration
from .calibrate import calibrate as calibrate
from .ensemble import FEW as FEW
from .ensemble import Ensemble as Ensemble
from .ensemble import sharpened as sharpened
from .input_reader import InputReader as InputReader
