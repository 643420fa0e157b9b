"""Artifact formats: one file per format reads and writes it and counts its parameters and MACs."""
