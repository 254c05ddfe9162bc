"""Reports of a study: one HTML file, a PDF, a notebook, tables for papers, pandas frames."""

from .frames import epochs_frame as epochs_frame
from .frames import runs_frame as runs_frame
from .html import render as render
from .html import summary_html as summary_html
from .inputs import DataLook as DataLook
from .inputs import Gallery as Gallery
from .inputs import Illustration as Illustration
from .inputs import LayerRow as LayerRow
from .inputs import NetworkTable as NetworkTable
from .inputs import ProgramCosts as ProgramCosts
from .look import look_page as look_page
from .look import pictured as pictured
from .notebook import write_notebook as write_notebook
from .pdf import write_pdf as write_pdf
from .references import Reference as Reference
from .references import bibtex as bibtex
from .references import references as references
from .search import search_sentences as search_sentences
from .search import search_values as search_values
from .texts import as_latex as as_latex
from .texts import as_markdown as as_markdown
from .write import SUFFIXES as SUFFIXES
from .write import ReportForm as ReportForm
from .write import write_report as write_report
