"""Photographs in memory and in files, with their metadata."""
