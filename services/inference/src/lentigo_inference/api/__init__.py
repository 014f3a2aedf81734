"""The REST API: routes, schemas, requests and responses."""
