"""The lake: Delta tables and the raw zone, written exactly once, read by anything."""

from eddyline.io.lake.commit import CommittedFile
from eddyline.io.lake.compact import Compacted, compact
from eddyline.io.lake.raw import RAW, RAW_FILES, RawZone
from eddyline.io.lake.read import open_table, raw_files, read_raw
from eddyline.io.lake.tables import Table
from eddyline.io.lake.write import WriteLake, create_tables

__all__ = [
    "RAW",
    "RAW_FILES",
    "CommittedFile",
    "Compacted",
    "RawZone",
    "Table",
    "WriteLake",
    "compact",
    "create_tables",
    "open_table",
    "raw_files",
    "read_raw",
]
