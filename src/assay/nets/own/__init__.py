"""Networks of one's own: a class in the user's file, its source, its import, its summary. No torch here."""

from .description import OwnModule as OwnModule
from .permission import allow as allow
from .permission import located as located
from .source import Source as Source
from .source import read_source as read_source
from .source import sourced as sourced
