"""How good an enlargement is: metrics and the benchmark protocol."""
