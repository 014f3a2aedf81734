"""The HTTP server around the application."""
