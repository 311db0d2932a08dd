"""How good a mask is: metrics and the benchmark protocol."""
