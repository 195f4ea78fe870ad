"""What leaves the process for people and tools: run folders, logs, metrics."""
