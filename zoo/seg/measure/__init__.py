"""Segmentation metrics and the benchmark protocol."""
