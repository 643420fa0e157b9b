"""Unit and property tests: offline, in any order."""
