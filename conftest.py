"""Loads the suite's fixtures and options; see ``fixtures/``."""

pytest_plugins = [
    "fixtures.models",
    "fixtures.options",
    "fixtures.results",
    "fixtures.variants",
    "fixtures.gate",
    "fixtures.progress",
    "fixtures.journal",
]
