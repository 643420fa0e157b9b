"""What a run says to its reader: the table, and the tables of the techniques page."""
