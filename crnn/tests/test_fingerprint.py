"""The fingerprint of a machine: it holds the version of everything that decides how fast a row is."""

import importlib.metadata

import pytest

from crnn.measure.fingerprint import fingerprint
from crnn.runtimes.base import engine_names, runtime_class

VERSIONS = fingerprint()["versions"]


@pytest.mark.parametrize("engine", engine_names())
def test_holds_the_version_of_every_engine(engine):
    """An engine that requires a module names at least one installed package, and its version is saved."""
    kind = runtime_class(engine)
    saved = [name for name in kind.distributions if name in VERSIONS]

    assert bool(saved) == bool(kind.requires)
    assert [VERSIONS[name] for name in saved] == [importlib.metadata.version(name) for name in saved]


def test_holds_the_packages_that_were_once_forgotten():
    """LiteRT, and torchao for statically quantized rows."""
    assert {"ai-edge-litert", "torchao", "numpy"} <= VERSIONS.keys()
