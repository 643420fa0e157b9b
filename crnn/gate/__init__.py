"""The gate: a run against a baseline, a verdict per measurement.

Imports no framework; works on extra_info as pytest-benchmark saves it.
"""
