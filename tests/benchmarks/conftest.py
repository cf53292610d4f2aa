"""The benchmarks are no part of the package: they are found from the checkout's root.

Last in the search path, since the root also holds folders with names like `io`.
"""

import sys
from pathlib import Path

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.append(ROOT)
