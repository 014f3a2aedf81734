"""The audit trail: who was told what, by which version, and whether it was right."""
