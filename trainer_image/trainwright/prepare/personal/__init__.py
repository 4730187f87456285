"""Personal data by shape, checksum and what stands beside it; a kind is one entry of kinds.KINDS."""
