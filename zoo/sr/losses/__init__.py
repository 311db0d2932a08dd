"""What super-resolution networks are trained to make small."""
