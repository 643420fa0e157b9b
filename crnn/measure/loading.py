"""A worker that loads while another one is evaluated."""

from collections.abc import Sequence
from typing import Any

from crnn.measure.workload import Workload
from crnn.runtimes.process import WorkerError


class Loading:
    """A worker that is loading, perhaps while another one works."""

    def __init__(
        self, workload: Workload, device: str, limit_s: float, *, alone: bool, prepared: Sequence[int] = ()
    ) -> None:
        """Start the process and have it load; the caller stops it.

        Args:
            workload: what it runs.
            device: ``auto``, ``cpu`` or ``cuda``.
            limit_s: seconds after which a request counts as hung.
            alone: whether no other work runs meanwhile.
            prepared: batch sizes at which it makes a first call at once.
        """
        self.workload, self.worker, self.alone, self.prepared = workload, workload.process(limit_s), alone, prepared
        self._outcome: dict[str, Any] | WorkerError | None = None
        self.worker.begin("load", *workload.load_request(device, None))
        if prepared:
            self.worker.begin("prepare", prepared)

    @property
    def done(self) -> bool:
        """Whether it is ready, or has failed: then it computes no longer."""
        return self._outcome is not None

    def wait(self) -> None:
        """Wait until it is ready or has failed; ``finish`` raises the failure."""
        if self.done:
            return
        try:
            loaded = self.worker.finish()
            if self.prepared:
                self.worker.finish()
            self._outcome = loaded
        except WorkerError as error:
            self._outcome = error

    def finish(self) -> dict[str, Any]:
        """Wait until it is ready; returns what ``load`` returned.

        Raises:
            WorkerError: it has failed.
        """
        self.wait()
        if isinstance(self._outcome, WorkerError):
            raise self._outcome
        return self._outcome or {}
