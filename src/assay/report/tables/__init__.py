"""Tables: from records to rows of text; templates decide how they look."""

from .arms import arms_table as arms_table
from .arms import costs_table as costs_table
from .arms import images_table as images_table
from .arms import ranking_table as ranking_table
from .findings import classes_table as classes_table
from .findings import contrasts_table as contrasts_table
from .findings import diagnoses_table as diagnoses_table
from .findings import effects_table as effects_table
from .findings import general_table as general_table
from .networks import network_tables as network_tables
from .provenance import flat as flat
from .provenance import looks_table as looks_table
from .provenance import machine_facts as machine_facts
from .provenance import provenance_table as provenance_table
from .runs import failures_table as failures_table
from .runs import retrained_table as retrained_table
from .runs import runs_table as runs_table
from .table import Cell as Cell
from .table import Column as Column
from .table import Table as Table
