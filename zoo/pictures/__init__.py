"""Photographs read, held and written without loss."""
