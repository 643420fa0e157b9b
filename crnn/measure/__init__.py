"""Everything that measures, without pytest: accuracy, latency, process pairs, footprint, fingerprint."""
