"""What a variant needs and this environment or machine lacks."""

from collections.abc import Iterable

from crnn import artifacts, registry
from crnn.corpus import Corpus
from crnn.measure.durations import spoken
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


def untrained(variant: Variant, corpus: Corpus) -> str | None:
    """Which training is missing on a user's corpus, and the command for it; None if none is."""
    for row in reversed((variant, *registry.ancestors(variant))):
        if row.trained and not artifacts.is_shipped(row, corpus) and not artifacts.is_built(row, corpus):
            return f"{row.name} is not trained on the corpus {corpus.name}; {artifacts.remedy(row, corpus)}"
    return None


def unsupported(variant: Variant, device: str) -> str | None:
    """Why this machine cannot run the variant; None if it can."""
    return runtime_class(variant.runtime).unsupported(device, **variant.runtime_options)


def runs_here(variant: Variant, corpus: Corpus, device: str) -> bool:
    """Whether the variant can be measured: nothing is lacking, unsupported or untrained."""
    return not (lacking(variant, corpus) or unsupported(variant, device) or untrained(variant, corpus))


def buildable(variants: Iterable[Variant], corpus: Corpus, again: bool = False) -> tuple[list[Variant], list[str]]:
    """The rows that can be built here and are not, and what a user should know before it begins.

    Args:
        variants: in an order in which parents come first.
        corpus: to train on or calibrate with.
        again: whether those that are built count too.
    """
    waiting, notes = [], []
    for variant in variants:
        if not again and artifacts.is_built(variant, corpus):
            continue
        if needs := lacking(variant, corpus):
            notes.append(f"{variant.name} needs {', '.join(needs)}, not installed here")
        else:
            waiting.append(variant)
    trained = [variant for variant in waiting if variant.trained]
    seconds = sum(artifacts.training_seconds(variant, corpus) for variant in trained)
    notes.append(
        f"{len(trained)} rows to train, about {spoken(seconds)} on the machine that trained the shipped ones, and "
        f"{len(waiting) - len(trained)} to convert; the same command resumes"
    )
    return waiting, notes
