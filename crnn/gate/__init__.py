"""The gate: compares a run with a baseline and gives a verdict per measurement.

It imports no framework and works on ``extra_info`` as pytest-benchmark saves it.
"""
