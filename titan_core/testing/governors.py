"""Governors for tests."""

from titan_core.engine.open_governor import OpenGovernor

__all__ = ["OpenGovernor"]
