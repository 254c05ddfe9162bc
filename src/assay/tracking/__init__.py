"""A study's runs in other people's trackers: MLflow, TensorBoard, Weights & Biases, from a store or live."""

from .live import LiveTracking as LiveTracking
from .live import live_trackers as live_trackers
from .opening import TRACKERS as TRACKERS
from .opening import TrackerName as TrackerName
from .opening import check_tracker as check_tracker
from .opening import open_tracker as open_tracker
from .stored import answer_text as answer_text
from .stored import log_study as log_study
from .tracker import TrackedRun as TrackedRun
from .tracker import Tracker as Tracker
