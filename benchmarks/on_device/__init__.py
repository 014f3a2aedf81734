"""Measurements of what the page does on a device, without the service."""
