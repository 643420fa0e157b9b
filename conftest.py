"""Loads the suite's fixtures and options; see ``fixtures/``."""

pytest_plugins = [
    "fixtures.options",
    "fixtures.variants",
    "fixtures.results",
    "fixtures.gate",
    "fixtures.progress",
    "fixtures.journal",
]
