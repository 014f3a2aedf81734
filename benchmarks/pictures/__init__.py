"""Commands that renew the pictures of the documentation."""
