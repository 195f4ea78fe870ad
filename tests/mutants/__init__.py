"""Defects planted on purpose: each must be noticed by the fixed cases of tests/engine. `python -m tests.mutants` runs them all."""
