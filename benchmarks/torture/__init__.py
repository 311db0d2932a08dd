"""Damaged files, killed processes, hostile clients: what must not harm anybody, tried often."""
