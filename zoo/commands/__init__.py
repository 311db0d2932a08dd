"""What the commands of `zoo` do."""
