"""The way into a running session from another process of the same user: a local socket that believes only signed, fresh messages."""
