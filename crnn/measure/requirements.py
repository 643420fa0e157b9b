"""What a variant needs and this environment or machine lacks."""

from crnn import artifacts, registry
from crnn.corpus import Corpus
from crnn.registry.variant import Variant
from crnn.runtimes.base import missing, missing_compiler, runtime_class


def lacking(variant: Variant, corpus: Corpus) -> list[str]:
    """Requirements of the variant and its ancestors that this environment lacks.

    A compiled artifact only needs a compiler if it has not been built for this corpus yet.
    """
    lineage = (variant, *registry.ancestors(variant))
    needs = {need for relative in lineage for need in missing(relative.runtime, relative.requires)}
    if not needs and any(row.compiled and not artifacts.is_built(row, corpus) for row in lineage):
        needs.update(missing_compiler())
    return sorted(needs)


def unsupported(variant: Variant, device: str) -> str | None:
    """Why this machine cannot run the variant; None if it can."""
    return runtime_class(variant.runtime).unsupported(device, **variant.runtime_options)
