"""Tokens of an OpenID Connect issuer (JWT), checked against the keys that it publishes."""
