"""Files on disk and from the network, whole and verified."""
