"""Super-resolution metrics and the benchmark protocol."""
