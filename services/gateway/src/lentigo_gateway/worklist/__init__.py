"""The work list: which instances are to be answered, which are, and what became of each."""
