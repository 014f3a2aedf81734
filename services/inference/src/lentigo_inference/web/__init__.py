"""The web page for clinicians."""
