"""Confirmed diagnoses, which become feedback to the service and final reports."""
