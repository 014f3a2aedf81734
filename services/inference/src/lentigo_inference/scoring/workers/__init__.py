"""Who scores: processes of this machine, or actors of a Ray cluster."""
