"""The durable journal: what Titan did and saw, on disk before it acts on it, and read back after a crash."""
