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
        """Start the process and have it load.

        Args:
            workload: what it runs.
            device: ``auto``, ``cpu`` or ``cuda``.
            limit_s: seconds after which a request counts as hung.
            alone: whether no other work runs meanwhile.
            prepared: batch sizes at which it makes a first call at once.
        """
        self.worker, self.alone, self.prepared = workload.process(limit_s), alone, prepared
        self._outcome: dict[str, Any] | Exception | None = None
        self.worker.begin("load", *workload.load_request(device, None))
        if prepared:
            self.worker.begin("prepare", prepared)

    @property
    def done(self) -> bool:
        """Whether it is ready, or has failed: then it computes no longer."""
        return self._outcome is not None

    def wait(self) -> None:
        """Wait until it is ready or has failed; ``finish`` raises the failure. A worker that fails is stopped."""
        if self.done:
            return
        try:
            self._outcome = self.worker.finish()
            if self.prepared:
                self.worker.finish()
        except Exception as error:  # noqa: BLE001 finish raises it
            self._outcome = error
        finally:
            if not isinstance(self._outcome, dict):
                self.worker.stop()

    def finish(self) -> dict[str, Any]:
        """Wait until it is ready; returns what ``load`` returned.

        Raises:
            WorkerError: it has failed.
        """
        self.wait()
        if not isinstance(self._outcome, dict):
            raise self._outcome or WorkerError(f"{self.worker.name}: interrupted")
        return self._outcome
