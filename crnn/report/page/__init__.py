"""The report as one HTML file: the answer, plots, the table, a part per row; no network."""
