"""The job of a live run in a thread of its own: the main one watches, and hears Ctrl-C."""

from threading import Event, Thread

from eddyline.pipeline.run import Ended, Prepared


class Job:
    """The job while it runs.

    Args:
        prepared: Wired, and not run yet.
    """

    def __init__(self, prepared: Prepared) -> None:
        self.ended: Ended | None = None
        self.error: Exception | None = None
        self.over = Event()
        Thread(target=self._run, args=(prepared,), name="job", daemon=True).start()

    def _run(self, prepared: Prepared) -> None:
        try:
            self.ended = prepared.run()
        except Exception as error:
            self.error = error
        finally:
            self.over.set()

    @property
    def trouble(self) -> str:
        """Why it ended, where it should not have."""
        if self.error is not None:
            lines = [line for line in str(self.error).splitlines() if line.strip(" \t<>")]
            return f"the job failed: {lines[-1].strip() if lines else type(self.error).__name__}"
        if self.ended is not None and self.ended.state != "DONE":
            return f"the job ended as {self.ended.state}"
        return ""
