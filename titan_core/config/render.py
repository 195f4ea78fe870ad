"""The schema written out: as commented TOML to start a file from, and as JSON Schema for editors and other programs."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from textwrap import wrap
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from titan_core.config.keys import KeySpec, bounds_text, plain, type_name

WIDTH = 120


def as_toml(keys: Sequence[KeySpec], title: str) -> str:
    """Write a section as a TOML file in which every key stands with its meaning and, commented out, its default.

    So the file documents the section and sets nothing: a default that changes with the program is not frozen by it.
    """
    lines = [f"# {line}" for line in wrap(title, WIDTH)]
    lines.append("# What stands here commented out is the default; take the # off a key to set it.")
    table: tuple[str, ...] = ()
    # keys of the file's top level come first: in TOML whatever follows a table header belongs to that table
    for spec in sorted(keys, key=lambda spec: spec.path[1:-1]):
        if spec.path[1:-1] != table:
            table = spec.path[1:-1]
            lines += ["", f"[{'.'.join(table)}]"]
        lines.append("")
        lines += [f"# {line}" for line in wrap(_explanation(spec), WIDTH)]
        shown = spec.show(spec.default)
        lines.append(f"#{spec.path[-1]} =" if shown is None else f"#{spec.path[-1]} = {_toml_value(shown)}")
    return "\n".join(lines) + "\n"


def _explanation(spec: KeySpec) -> str:
    meaning = spec.meaning
    text = meaning.help[:1].upper() + meaning.help[1:] if meaning.help else type_name(spec.type)
    allowed = bounds_text(meaning) if not isinstance(spec.type, type) or not issubclass(spec.type, Enum) else type_name(spec.type)
    return f"{text} ({allowed})." if allowed else f"{text}."


def _toml_value(value: Any) -> str:
    """Write plain data as TOML: of JSON's notation, strings, numbers, booleans and lists mean the same there."""
    return json.dumps(value, ensure_ascii=False)


def as_json_schema(schema: Mapping[str, Sequence[KeySpec]]) -> dict[str, Any]:
    """Return a JSON Schema (draft 2020-12) of the whole configuration; units stand under `x-unit`."""
    root: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Titan configuration: one object per file of the configuration directory",
        **_object(),
    }
    for keys in schema.values():
        for spec in keys:
            node = root
            for name in spec.path[:-1]:
                node = node["properties"].setdefault(name, _object())
            node["properties"][spec.path[-1]] = _property(spec)
    return root


def _object() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {}}


def _property(spec: KeySpec) -> dict[str, Any]:
    meaning = spec.meaning
    made = {"description": meaning.help, **_json_type(spec.type), "default": spec.show(spec.default)}
    bounds = {name: bound for name, bound in (("minimum", meaning.low), ("maximum", meaning.high)) if bound is not None}
    if "items" in made:
        made["items"] = made["items"] | bounds
    else:
        made |= bounds
    return made | ({"x-unit": meaning.unit} if meaning.unit else {}) | ({"writeOnly": True} if meaning.secret else {})


def _json_type(kind: Any) -> dict[str, Any]:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", Decimal: ["number", "string"]}
    if kind in names:
        return {"type": names[kind]}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [plain(each) for each in kind]}
    arguments = [each for each in get_args(kind) if each not in (NoneType, Ellipsis)]
    if get_origin(kind) in (Union, UnionType):
        return _json_type(arguments[0])
    return {"type": "array", "items": _json_type(arguments[0])}
