"""Segmentation: networks, encoders, data, losses and measurement."""
