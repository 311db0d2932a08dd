"""Super-resolution: networks, data, losses and measurement."""
