"""Encoders: any network as a pyramid of feature maps."""
