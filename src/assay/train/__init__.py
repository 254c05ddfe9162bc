"""Trains and evaluates one run, with checkpoints. Modules are imported by path; this file imports no torch."""

from .epochs import EpochRecord as EpochRecord
from .task import Task as Task
