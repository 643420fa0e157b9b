"""What the batch size does to the time of a call, and what that means for a service.

From the records of ``pytest benchmarks/test_batch_scaling.py``: a model of each row, crossings between rows, lines per
second under a limit of the 99th percentile.
"""
