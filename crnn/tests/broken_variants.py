"""A pytest plugin that replaces the registry: one sound variant, and one for each fault.

    pytest -p crnn.tests.broken_variants benchmarks
"""

from crnn import variants
from crnn.variants import Thresholds, Variant

_FREE = Thresholds(max_cer=1.0, parameters=0, max_bytes=100)


def write_nothing(build):
    """The recipe of them all."""
    build.target.write_bytes(b"nothing")
    return {}


def _noop(name, thresholds=_FREE, **options):
    return Variant(
        name,
        "none",
        "crnn.tests.broken_variants:write_nothing",
        runtime="crnn.tests.broken_runtime",
        suffix=".bin",
        thresholds=thresholds,
        runtime_options=options,
    )


variants.VARIANTS = (
    _noop("sound"),
    *(
        _noop(fault.replace(" ", "-"), fault=fault)
        for fault in (
            "raises in load",
            "crashes",
            "is killed for memory",
            "exits",
            "hangs",
            "answers NaN",
            "answers logits",
            "answers another shape",
            "answers otherwise when timed",
        )
    ),
    _noop("misses-its-threshold", Thresholds(max_cer=0.5, parameters=1, max_bytes=1)),
    Variant(
        "lacks-its-framework",
        "none",
        "crnn.tests.broken_variants:write_nothing",
        runtime="crnn.tests.absent_runtime",
        suffix=".bin",
        thresholds=_FREE,
    ),
)


def pytest_configure():
    """Build the artifacts here: the command that would do it does not know this registry."""
    from crnn import artifacts
    from crnn.corpus import open_corpus

    corpus = open_corpus(None)
    for variant in variants.VARIANTS:
        artifacts.build(variant, corpus)
