"""Calibrated probabilities and the thresholds that rest on them."""
