"""The pure vocabulary of Titan: ids, units, instruments, market events, orders, fills. It imports nothing but errors."""
