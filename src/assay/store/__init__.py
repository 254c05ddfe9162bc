"""Remembers: studies, arms, runs, epochs, artifacts. The only SQL in Assay."""

from .collection import collection_paused as collection_paused
from .files import DATABASE as DATABASE
from .files import default_folder as default_folder
from .files import run_folder as run_folder
from .follow import Followed as Followed
from .follow import Overview as Overview
from .follow import StoreFollower as StoreFollower
from .image_sets import ImageHits as ImageHits
from .image_sets import ImageSets as ImageSets
from .lock import writing_process as writing_process
from .reader import StoreReader as StoreReader
from .reader import open_reader as open_reader
from .records import FAILED as FAILED
from .records import ArmRecord as ArmRecord
from .records import CandidateRecord as CandidateRecord
from .records import LookRecord as LookRecord
from .records import RunRecord as RunRecord
from .records import SearchRecord as SearchRecord
from .records import State as State
from .records import StudyRecord as StudyRecord
from .records import TestScore as TestScore
from .records import VerdictLook as VerdictLook
from .records import trial_name as trial_name
from .verdict_looks import record_verdict_look as record_verdict_look
from .writer import StoreWriter as StoreWriter
from .writer import open_writer as open_writer
