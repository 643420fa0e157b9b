"""Engines that execute artifacts: one file per engine. Each runs in a separate process."""
