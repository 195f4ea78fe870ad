"""Importers: each turns one file of one exchange into raw columns, message counts and faults; `add` puts the result into a tape."""
