"""Logs, metrics, traces and the health check."""
