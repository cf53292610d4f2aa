"""Arrow's compute functions, which register at import where no type checker sees them."""

from typing import Any

import pyarrow.compute

kernels: Any = pyarrow.compute
