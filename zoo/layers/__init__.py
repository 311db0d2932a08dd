"""Layers and constants that the networks of both tasks share."""
