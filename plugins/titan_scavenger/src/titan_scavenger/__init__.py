"""The Scavenger: sets traps at structural levels and springs them when the spot market confirms."""
