"""Market history: columns, their indexes, the memory-mapped store, the importers and the generator."""
