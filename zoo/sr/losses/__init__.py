"""Loss functions for super-resolution, and the trained networks that they use."""
