"""The commits of saved baselines: their code is run beside this one's where a comparison with the file is not green."""

from collections.abc import Callable

from crnn.gate.against import Base
from crnn.gate.runs import RunError
from crnn.measure.workload import Workload

Checkout = Callable[[str, bool], Base]
"""Checks a commit out, to be run with its own packages or with this environment's."""


class Commits:
    """Commits that are checked out when they are first asked for, and stay until ``close``."""

    def __init__(self, checkout: Checkout | None) -> None:
        """Nothing is checked out yet; without a function that does it no commit is at hand."""
        self._checkout = checkout
        self._bases: dict[str, Base | None] = {}
        self.notes: list[str] = []

    def has(self, commit: str, *, own_packages: bool) -> bool:
        """Whether the code of a commit can be run here; else a note says why not.

        Args:
            commit: its id; empty if nobody knows it.
            own_packages: whether it needs other packages than this environment's.
        """
        if commit not in self._bases:
            self._bases[commit] = self._runnable(commit, own_packages=own_packages)
        return self._bases[commit] is not None

    def _runnable(self, commit: str, *, own_packages: bool) -> Base | None:
        if self._checkout is None:
            return None
        base = None
        try:
            if not commit:
                raise RunError("it was measured with changes that were not committed, or outside of a repository")
            base = self._checkout(commit, own_packages)
            base.list_variants()
        except RunError as error:
            self.notes.append(f"slowdowns are not confirmed by pairs with the baseline's commit: {error}")
            if base:
                base.close()
            return None
        return base

    def workload(self, commit: str, variant: str, artifact: str | None) -> Workload:
        """What a worker of that commit runs; see ``Base.workload``."""
        if not (base := self._bases.get(commit)):
            raise RunError(f"commit {commit} is not at hand")
        return base.workload(variant, artifact)

    def close(self) -> None:
        """Remove the worktrees."""
        for base in filter(None, self._bases.values()):
            base.close()
