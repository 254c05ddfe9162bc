"""The command line: one file for each command, which parses, makes one public call and formats."""

from .main import main as main
