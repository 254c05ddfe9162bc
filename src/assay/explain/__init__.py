"""Explanations of a network: activations, attributions, mistakes and calibration as arrays, and their figures."""
