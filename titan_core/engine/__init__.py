"""The engine: one meaning of conditions, orders and accounts, in three forms (reference, replay, per event)."""
