"""The declaration of a row: how it is made and run, and the thresholds that it must meet."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

from crnn.interface import BUILT_IN, Interface

if TYPE_CHECKING:
    from crnn.optimize.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The thresholds of a variant; each is an assertion of a benchmark test.

    Counts and CER apply to the field corpus: another corpus has its own difficulty and its own
    number of classes. Each threshold is at most ``SLACK`` above the value in the committed
    baseline, so each can fail; a test enforces this.

    Attributes:
        parameters: exact number of stored parameters, as the artifact's framework counts; None for a user's model.
        macs: exact number of MACs for one line; None for a user's model.
        max_bytes: size of the artifact; None for a user's model.
        max_peak_memory_bytes: peak resident memory of the worker after calls at all batch sizes; None for
            rows that the maintainers' machine cannot run, see ``Variant.unmeasured``. For the CPU, see
            ``crnn/measure/footprint.py``.
        max_nonzero_parameters: nonzero stored parameters; None if the technique makes no zeros.
        max_cer: CER of an original, as a fraction; None for other rows, whose paired difference counts.
        max_cer_difference: CER minus that of the original on the same lines, as a fraction.
        max_log_prob_difference: to the parent, for any line, time step and class; None if the
            technique does not promise to compute the same function.
        max_timed_difference: in log probability, between a line's output in a timed batch and
            its evaluated output; above rounding only if the output depends on the batch.
        max_lines_read_differently: lines whose decoded text differs between these two.
        gate: limits of this variant's own for changes from a baseline, such as
            ``{"relative_latency": "8%"}``; see ``crnn/gate/limits.py``.
    """

    parameters: int | None
    macs: int | None
    max_bytes: int | None
    max_peak_memory_bytes: int | None
    max_nonzero_parameters: int | None = None
    max_cer: float | None = None
    max_cer_difference: float = 0.001
    max_log_prob_difference: float | None = None
    max_timed_difference: float = 1e-4
    max_lines_read_differently: int = 0
    gate: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Slack:
    """How far a threshold may lie above the measured value.

    Attributes:
        factor: multiplies the measured value.
        more: is added to it, in the threshold's unit.
        least: a threshold up to this value is never too loose: smaller values are rounding.
    """

    factor: float = 1.0
    more: float = 0.0
    least: float = 0.0

    def allows(self, threshold: float, measured: float) -> bool:
        """Whether the threshold is tight enough."""
        return threshold <= max(self.factor * measured + self.more, self.least)


SLACK: Mapping[str, Slack] = {
    "max_bytes": Slack(factor=1.05),
    # Libraries allocate differently for each instruction set.
    "max_peak_memory_bytes": Slack(factor=1.25),
    "max_nonzero_parameters": Slack(factor=1.01),
    # A tenth of a point, because kernels round differently on other processors.
    "max_cer": Slack(more=0.001),
    "max_cer_difference": Slack(more=0.001, least=0.001),
    # Float32 rounding may add up to 1e-4.
    "max_log_prob_difference": Slack(factor=2, least=1e-4),
    # The largest of those lines that a run happens to compare: 1.6 and 3.1 in two batch sizes of one run of a row.
    "max_timed_difference": Slack(factor=4, least=1e-4),
    # A percent of the lines, because a run sees few of them.
    "max_lines_read_differently": Slack(factor=2, more=20),
}

_INHERITED = ("parameters", "macs", "max_bytes", "max_peak_memory_bytes", "max_nonzero_parameters")
_THRESHOLDS = frozenset(item.name for item in fields(Thresholds))


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes:
        name: lower case; the key in test ids, baselines and file names, so never rename it.
        technique: short description for the table.
        recipe: ``module:function`` that makes the artifact, imported when it is built.
        framework: framework of the row's original, ``torch`` or ``keras``.
        runtime: the engine, see ``crnn/runtimes/base.py``.
        suffix: of the artifact's file name.
        thresholds: what it must meet.
        parent: name of the variant that it is made from, None for an original.
        trained: whether its recipe trains. Then its artifact for the field corpus is shipped in
            the repository; others are built on first use.
        recipe_options: keyword arguments of the recipe.
        runtime_options: keyword arguments of the engine's ``load``.
        requires: modules that the recipe or the artifact needs besides the engine's.
        precision: of most of its MACs, ``fp32``, ``fp16``, ``bf16`` or ``int8``.
        watched: False if a watched row has the same graph, the row is illustrative, or it was never
            run: then the gate measures no process pairs of it.
        small: whether its weights and activations fit in the caches of one core: then its time drifts less with the
            machine than that of a large model, and at one thread its anchor is a small one.
        compiled: whether its recipe compiles C++ to machine code: making the artifact takes a compiler,
            and each kind of processor has its own.
        counted_by: module that counts the artifact's parameters and MACs; None for the module of
            the suffix, see ``crnn/formats/counts.py``.
    """

    name: str
    technique: str
    recipe: str
    framework: str
    runtime: str
    suffix: str
    thresholds: Thresholds
    parent: str | None = None
    trained: bool = False
    recipe_options: Mapping[str, Any] = field(default_factory=dict)
    runtime_options: Mapping[str, Any] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    precision: str = "fp32"
    watched: bool = True
    small: bool = False
    compiled: bool = False
    counted_by: str | None = None

    @property
    def format(self) -> str:
        """The artifact's format, as ``crnn/formats/counts.py`` names it."""
        return self.counted_by or self.suffix.removeprefix(".")

    @property
    def interface(self) -> Interface:
        """What its model takes and returns."""
        given = self.runtime_options.get("interface")
        return BUILT_IN if given is None else Interface.of(given)

    def reads(self, alphabet: str) -> str:
        """The characters that it reads: those of its own alphabet, or the corpus's.

        Args:
            alphabet: of the corpus.
        """
        return self.interface.alphabet or alphabet

    @property
    def unmeasured(self) -> bool:
        """Whether the maintainers' machine cannot run it: then it is in no committed baseline."""
        return self.thresholds.max_peak_memory_bytes is None

    def derive(self, name: str, technique: str, recipe: str, **changes: Any) -> "Variant":
        """A row made from this one.

        It inherits the engine with its options, the suffix, and the thresholds for parameters,
        MACs, bytes and memory.

        Args:
            name: of the new row.
            technique: short description for the table.
            recipe: ``module:function`` that does it.
            changes: any other attribute of a variant or of its thresholds.

        Raises:
            TypeError: a variant has no such attribute.
        """
        thresholds = Thresholds(**{field_name: getattr(self.thresholds, field_name) for field_name in _INHERITED})
        child = Variant(
            name,
            technique,
            recipe,
            framework=self.framework,
            runtime=self.runtime,
            suffix=self.suffix,
            thresholds=thresholds,
            parent=self.name,
            counted_by=self.counted_by,
            runtime_options={} if "runtime" in changes else self.runtime_options,
        )
        return child._changed(changes)

    def sibling(self, name: str, technique: str, **changes: Any) -> "Variant":
        """A row like this one, made from the same parent, with some attributes changed.

        Args:
            name: of the new row.
            technique: short description for the table.
            changes: any other attribute of a variant or of its thresholds.

        Raises:
            TypeError: a variant has no such attribute.
        """
        return replace(self, name=name, technique=technique)._changed(changes)

    def _changed(self, changes: Mapping[str, Any]) -> Self:
        limits = {key: value for key, value in changes.items() if key in _THRESHOLDS}
        others = {key: value for key, value in changes.items() if key not in _THRESHOLDS}
        return replace(self, thresholds=replace(self.thresholds, **limits), **others)

    def load_recipe(self) -> "Recipe":
        """The recipe's function; this imports its module, not yet a framework."""
        module, function = self.recipe.split(":")
        return getattr(importlib.import_module(module), function)
