"""What nobody may see and where nothing may go: keys at rest, secrets in memory and in text, hosts that may be talked to."""
