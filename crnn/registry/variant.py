"""What a row of the table says of itself: how it is made and run, and what it must hold."""

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crnn.optimize.recipe import Recipe


@dataclass(frozen=True)
class Thresholds:
    """What a variant must hold; each is an assertion of a benchmark test.

    ``max_cer``, ``max_cer_difference`` and ``parameters`` hold on the field corpus: another
    corpus has its own difficulty and its own number of classes.

    Attributes:
        max_cer: CER, as a fraction.
        parameters: stored parameters, exactly, as the artifact's framework counts.
        max_bytes: size of the artifact.
        max_nonzero_parameters: of the stored ones; None where zeros are no aim.
        max_multiply_adds: for one line.
        max_peak_memory_bytes: resident set of the worker while judging.
        max_cer_difference: CER less that of the original on the same lines, as a fraction.
        max_log_prob_difference: to the parent, on any line, step and class; None
            where the technique does not promise to compute the same function.
        max_timed_difference: in log probability between a line's answer in a timed
            batch and the one that was judged; more than rounding only where a line's
            answer depends on its batch, as with scales taken at run time.
        gate: limits of this variant's own for changes from a baseline, such as
            ``{"latency": "8%"}``; see ``crnn/gate/limits.py``.
    """

    max_cer: float
    parameters: int
    max_bytes: int
    max_multiply_adds: int = 234_000_000
    max_peak_memory_bytes: int = 4_000_000_000
    max_cer_difference: float = 0.005
    max_log_prob_difference: float | None = None
    max_timed_difference: float = 1e-3
    max_nonzero_parameters: int | None = None
    gate: "Mapping[str, str]" = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes:
        name: lower case, the key in test ids, baselines and file names: never rename it.
        technique: what was done, in words.
        recipe: ``module:function`` that makes the artifact, imported when it is built.
        runtime: the engine, see ``crnn/runtimes/base.py``.
        suffix: of the artifact's file.
        thresholds: what it must hold.
        parent: name of the variant it is made from, None for an original.
        trained: whether making it takes training; then its artifact for the field
            corpus is shipped in the repository. Others are built on first use.
        recipe_options: the recipe's settings, where one recipe makes several rows.
        runtime_options: passed to the engine's ``load``.
        requires: modules that recipe or artifact need beside the engine's.
        watched: whether the gate measures process pairs of it; not where it runs the graph
            of a row that is watched, or is there to explain. Its latency is measured
            for half as long at most.
    """

    name: str
    technique: str
    recipe: str
    runtime: str
    suffix: str
    thresholds: Thresholds
    parent: str | None = None
    trained: bool = False
    recipe_options: "Mapping[str, Any]" = field(default_factory=dict)
    runtime_options: "Mapping[str, Any]" = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    watched: bool = True

    def load_recipe(self) -> "Recipe":
        """The recipe's function; this imports its module, not yet a framework."""
        module, function = self.recipe.split(":")
        return getattr(importlib.import_module(module), function)
