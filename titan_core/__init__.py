"""Titan, a trading organism that changes its behaviour with its capital."""

__version__ = "0.1.0"
