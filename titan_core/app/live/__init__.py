"""Trading that goes on: the session that joins feed, engine, execution and journal, and what others may see of it and ask of it."""
