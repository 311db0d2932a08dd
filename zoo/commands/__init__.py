"""The work of the commands of `zoo`."""
