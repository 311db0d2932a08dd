"""Photographs and their degraded versions, from disk to batches."""
