"""Measuring without pytest: accuracy, latency, process pairs, footprint, fingerprint."""
