"""Inference: run a network on pictures of any size."""
