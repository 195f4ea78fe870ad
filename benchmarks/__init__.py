"""Benchmarks: one module per group of claims; `python -m benchmarks` lists them, `python -m benchmarks NAME` measures one."""
