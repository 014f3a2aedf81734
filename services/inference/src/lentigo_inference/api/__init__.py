"""The REST API: routes, schemas, and what they read and answer."""
