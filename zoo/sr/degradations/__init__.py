"""What happens to a photograph on its way: blur, shrinking, noise, compression."""
