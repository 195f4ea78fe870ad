"""The guard: a process beside a session that gets out of the market when the session's process hangs."""
