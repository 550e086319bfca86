"""The law of undo: what its random writes are, and the run in which a merge never happened."""
