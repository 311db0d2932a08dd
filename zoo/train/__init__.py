"""Training: recipes, the loop, checkpoints. Needs the extra `train`."""
