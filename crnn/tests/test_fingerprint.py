"""The fingerprint of a machine: it holds the version of everything that decides how fast a row is."""

import importlib.metadata

import pytest

from crnn.measure.fingerprint import FIELDS, differing, fingerprint
from crnn.runtimes.base import engine_names, runtime_class

VERSIONS = fingerprint()["versions"]


@pytest.mark.parametrize("engine", engine_names())
def test_holds_the_version_of_every_engine(engine):
    """An engine that requires a module names at least one installed package, and its version is saved."""
    kind = runtime_class(engine)
    saved = [name for name in kind.distributions if name in VERSIONS]

    assert bool(saved) == bool(kind.requires)
    assert [VERSIONS[name] for name in saved] == [importlib.metadata.version(name).split("+")[0] for name in saved]


def test_holds_the_packages_that_were_once_forgotten():
    """LiteRT, and torchao for statically quantized rows."""
    assert {"ai-edge-litert", "torchao", "numpy"} <= VERSIONS.keys()


def test_one_list_names_what_makes_machines_unlike():
    """A fingerprint has exactly the fields of that list."""
    assert list(fingerprint()) == list(FIELDS)


@pytest.mark.parametrize(("one", "other"), [("2.13.0", "2.13.0+cpu"), ("2.13.0+cpu", "2.13.0+cu130")])
def test_wheels_of_one_release_are_alike(one, other):
    """The local part of a version names the index that the wheel comes from, not another release."""
    assert differing({"versions": {"torch": one}}, {"versions": {"torch": other}}) == []


def test_another_release_is_unlike():
    """Two releases differ, whatever their local parts."""
    unlike = differing({"versions": {"torch": "2.13.0+cpu"}}, {"versions": {"torch": "2.14.0+cpu"}})

    assert unlike == ["versions.torch (2.13.0, 2.14.0)"]
