"""What `serving.py`, `soak.py` and `audit.py` share: servers, clients and results."""
