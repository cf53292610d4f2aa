"""File: one line of JSON an alert, appended."""

import os
from pathlib import Path

import msgspec

from eddyline.io.alerts.document import document
from eddyline.schemas.alert import Alert, Failed
from eddyline.schemas.alert_channel import FileChannel


class FileSender:
    """Appends whole lines: one write each, so that workers of one machine may share the file."""

    def __init__(self, config: FileChannel) -> None:
        self._path = Path(config.path)

    def send(self, alert: Alert) -> str:
        """Append it; the bytes are with the system, not on the disk yet."""
        line = msgspec.json.encode(document(alert)) + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            opened = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                written = os.write(opened, line)
            finally:
                os.close(opened)
        except OSError as error:
            raise Failed(f"{self._path}: {error.strerror}", status=type(error).__name__) from None
        if written != len(line):
            raise Failed(f"{self._path}: disk full", status="short write")
        return "written"
