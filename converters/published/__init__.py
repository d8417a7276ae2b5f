"""Published sets of face events, in the folders that their authors gave them, into one data set."""

from snnface.converters.published.convert import LAYOUTS, convert_published, detect
from snnface.converters.published.layout import Options

__all__ = ["LAYOUTS", "Options", "convert_published", "detect"]
