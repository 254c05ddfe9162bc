"""Checks a store, mends it and backs it up."""

from .backup import Backup as Backup
from .backup import back_up as back_up
from .checkup import Checkup as Checkup
from .checkup import checkup as checkup
from .findings import Finding as Finding
from .repair import Repairs as Repairs
from .repair import repair as repair
