"""`titan_core.__all__` is everything a plugin may import."""

import ast
from pathlib import Path

import titan_core

ROOT = Path(__file__).resolve().parents[2]


def test_every_exported_name_is_there() -> None:
    for name in titan_core.__all__:
        assert getattr(titan_core, name) is not None


def test_the_three_lists_of_names_agree() -> None:
    """The type checker reads one list, the lazy look-up another, `import *` a third."""
    tree = ast.parse((ROOT / "titan_core" / "__init__.py").read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    for_checker = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert for_checker == titan_core._HOME_OF
    assert sorted(for_checker) == sorted(titan_core.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(titan_core, "nothing_of_that_name")
    assert set(titan_core.__all__) <= set(dir(titan_core))
