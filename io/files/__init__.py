"""Files of messages: read once (`ReadFiles`), or watched as a stream (`watch.py`)."""

from eddyline.io.files.matching import matching_files
from eddyline.io.files.opened import opened
from eddyline.io.files.read import ReadFiles

__all__ = ["ReadFiles", "matching_files", "opened"]
