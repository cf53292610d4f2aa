"""The machine that numbers are of."""

import os
import platform
from pathlib import Path


def machine() -> str:
    """The processor and Python, in a line.

    Example:
        >>> machine().endswith(platform.python_version())
        True
    """
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [row for row in info.read_text().splitlines() if row.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"
