"""What executes an artifact: one file an engine, each run in a process of its own."""
