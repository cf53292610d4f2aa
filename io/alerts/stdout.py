"""Standard output: one line an alert."""

import sys

from eddyline.schemas.alert import Alert, Failed


class StdoutSender:
    """Writes the subject with severity and transition."""

    def send(self, alert: Alert) -> str:
        """Write it."""
        incident = alert.incident
        try:
            sys.stdout.write(
                f"{incident.severity} {incident.transition}: {alert.message.subject}\n"
            )
            sys.stdout.flush()
        except OSError as error:
            raise Failed(f"standard output: {error}", status=type(error).__name__) from None
        return "written"
