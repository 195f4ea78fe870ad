"""The Quant, the offline optimiser that advises Scavenger and Hunter. An empty shell: it declares no entry point, so Titan does not list it."""
