"""The command line. One file a command: parse, one public call, format."""

from .main import main as main
