"""All architectures by their recipes on the same rows, and a report of what came out."""
