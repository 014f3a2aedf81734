"""The archive: fetching instances, finding them, and storing results."""
