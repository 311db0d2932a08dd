"""Model files: atomic writes, verified downloads, state dicts and folders."""
