"""One of our commands in a process that was forked with the imports done: as a user's, but sooner.

ARGV and LOG are handed in.
"""

import atexit
import os
import runpy
import signal
import sys
from pathlib import Path

with Path(LOG).open("ab") as said:  # noqa: F821
    os.dup2(said.fileno(), 1)
    os.dup2(said.fileno(), 2)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["", *ARGV[1:]]  # noqa: F821
try:
    runpy.run_module(ARGV[0], run_name="__main__", alter_sys=True)  # noqa: F821
finally:
    # A fork ends without them, and Beam ends a Prism that it started only there.
    atexit._run_exitfuncs()
