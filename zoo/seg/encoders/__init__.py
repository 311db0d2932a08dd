"""Any network as a pyramid of feature maps."""
