"""A network on a picture of any size."""
