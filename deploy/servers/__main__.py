"""Run a command with the servers at hand: `python -m deploy.servers COMMAND ...`.

What is not there yet is fetched; what cannot be had is told in a line, and the tests skip it.
"""

import os
import shutil
import sys

from deploy.fetching import Unavailable
from deploy.servers.parts import PARTS


def main() -> None:
    """Fetch, then become the command; a variable that is set already stays."""
    command = sys.argv[1:]
    if not command or shutil.which(command[0]) is None:
        sys.exit("usage: python -m deploy.servers COMMAND ...")
    for variable, fetched in PARTS.items():
        if os.environ.get(variable):
            continue
        try:
            os.environ[variable] = str(fetched())
        except Unavailable as reason:
            sys.stderr.write(f"{variable} is not to be had: {reason}. Its tests skip.\n")
    os.execvp(command[0], command)  # noqa: S606 the command is the caller's


if __name__ == "__main__":
    main()
