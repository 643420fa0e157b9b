"""What a variant needs and this environment or machine lacks."""

from crnn import registry
from crnn.registry.variant import Variant
from crnn.runtimes.base import missing, runtime_class


def lacking(variant: Variant) -> list[str]:
    """Requirements of the variant and its ancestors that this environment lacks."""
    lineage = (variant, *registry.ancestors(variant))
    return sorted({need for relative in lineage for need in missing(relative.runtime, relative.requires)})


def unsupported(variant: Variant, device: str) -> str | None:
    """Why this machine cannot run the variant; None if it can."""
    return runtime_class(variant.runtime).unsupported(device, **variant.runtime_options)
