"""What nobody may see: keys at rest, secrets in memory, in text and in child processes."""
