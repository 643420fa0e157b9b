"""A pytest plugin that replaces the registry: one sound variant and one per fault.

A few random lines take the place of the field corpus, so that a run takes seconds.

    pytest -p crnn.tests.broken_variants benchmarks
"""

import functools
from dataclasses import replace

import numpy as np

from crnn import corpus, registry
from crnn.corpus import Corpus, Lines
from crnn.corpus.labels import FIELD_ALPHABET
from crnn.registry.variant import Thresholds, Variant

LINES = 40
_open_corpus = corpus.open_corpus
_FREE = Thresholds(parameters=0, macs=0, max_bytes=100, max_peak_memory_bytes=10**9, max_cer=1.0)


def write_nothing(build):
    """The recipe of all these variants."""
    build.target.write_bytes(b"nothing")
    return {}


def _noop(name, thresholds=_FREE, **options):
    return Variant(
        name,
        "none",
        "crnn.tests.broken_variants:write_nothing",
        framework="none",
        runtime="crnn.tests.broken_runtime",
        suffix=".bin",
        thresholds=thresholds,
        runtime_options=options,
        counted_by="crnn.tests.nothing_file",
    )


registry.VARIANTS = (
    _noop("sound"),
    *(
        _noop(fault.replace(" ", "-"), fault=fault)
        for fault in (
            "raises in load",
            "crashes",
            "is killed for memory",
            "exits",
            "hangs",
            "returns NaN",
            "returns logits",
            "returns another shape",
            "differs when timed",
            "skips work when timed",
            "caches its last output",
            "returns before the work is done",
        )
    ),
    replace(_noop("child-of-crashes"), parent="crashes"),
    replace(
        _noop("strays", replace(_FREE, max_log_prob_difference=1e-4), fault="strays from its parent"), parent="sound"
    ),
    replace(_noop("reads-worse", replace(_FREE, max_cer=99.0), fault="reads what is not there"), parent="sound"),
    _noop("misses-its-threshold", replace(_FREE, max_cer=0.5, parameters=1)),
    Variant(
        "lacks-its-framework",
        "none",
        "crnn.tests.broken_variants:write_nothing",
        framework="none",
        runtime="crnn.tests.absent_runtime",
        suffix=".bin",
        thresholds=_FREE,
    ),
)


def open_short_corpus(folder, *models, **options):
    """Return a few random lines in place of the field corpus, or a user's corpus unchanged.

    Decoding the field corpus takes longer than a test's measurements.
    """
    return _short() if folder is None else _open_corpus(folder, *models, **options)


@functools.cache
def _short():
    random = np.random.default_rng(1)
    labels = tuple("".join(random.choice(list("0123456789"), 8)) for _ in range(LINES))
    images, kinds = random.integers(0, 256, (LINES, 32, 400), np.uint8), np.zeros(LINES, np.uint8)
    lines = Lines(images, labels, kinds, ("",) * LINES, np.zeros(LINES, bool))
    return Corpus("field", FIELD_ALPHABET, "short", lines, lambda: None)


corpus.open_corpus = open_short_corpus


def pytest_configure(config):
    """Build the artifacts here: ``python -m crnn build`` does not know this registry."""
    from crnn import artifacts

    if not config.getoption("collectonly") and config.getoption("corpus") is None:
        for variant in registry.VARIANTS:
            artifacts.build(variant, corpus.open_corpus(None))
