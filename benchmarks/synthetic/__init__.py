"""Images drawn by code, in place of real lesions."""
