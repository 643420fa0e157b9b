"""Reports of a run: the table of results."""
