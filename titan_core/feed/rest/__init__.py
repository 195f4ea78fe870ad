"""Public REST of the venues: snapshots of books, recent prints, bars, instruments, the server's time."""
