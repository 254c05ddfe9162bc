"""From a picture to a network's answer: reading, fitting, framing, calibration, ensembles."""

from .calibrate import Calibration as Calibration
from .calibrate import calibrate as calibrate
from .ensemble import FEW as FEW
from .ensemble import Ensemble as Ensemble
from .ensemble import sharpened as sharpened
from .fitting import Fitting as Fitting
from .inputs import read_images as read_images
