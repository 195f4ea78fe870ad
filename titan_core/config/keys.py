"""A configuration key: how a section's attrs class declares it, how it is found again, and how a raw value becomes a typed one."""

import math
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import attrs
import cattrs

from titan_core.errors import ConfigError

REDACTED = "***"


@attrs.frozen(kw_only=True)
class Meaning:
    """What a key says about itself beside its type and default: the metadata of its field."""

    help: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    """The bounds, inclusive, in `unit`."""
    secret: bool = False
    """A secret is never shown, neither by `titan config show` nor in an error, and takes no part in the digest."""
    cap: str = ""
    """The limit of the phase (`max_leverage` or `max_position_bps`) that this key competes with: the smaller is in force for both."""

    @classmethod
    def of(cls, field: "attrs.Attribute[Any]") -> "Meaning":
        """Read the metadata of a field; words that are not of this class belong to somebody else."""
        return cls(**{name: field.metadata[name] for name in MEANINGS if name in field.metadata})


MEANINGS = tuple(attrs.fields_dict(Meaning))


def key(
    default: Any,
    help: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    secret: bool = False,
    cap: str = "",
) -> Any:
    """Declare a configuration key as a field of an attrs class; see `Meaning` for the words. Bounds hold in code as in files."""
    meaning = Meaning(help=help, unit=unit, low=low, high=high, secret=secret, cap=cap)

    def check(instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        problem = out_of_bounds(value, meaning)
        if problem:
            raise ConfigError(f"{attribute.name} {problem}")

    return attrs.field(default=default, validator=check, metadata=attrs.asdict(meaning), kw_only=True)


@attrs.frozen
class KeySpec:
    """A key of a section, addressed by its path in the file."""

    path: tuple[str, ...]
    type: Any
    default: Any
    meaning: Meaning

    @property
    def name(self) -> str:
        """The dotted path."""
        return ".".join(self.path)

    def show(self, value: Any) -> Any:
        """Return a value as it may be shown: plain data, secrets redacted."""
        return REDACTED if self.meaning.secret and value not in (None, "") else plain(value)


def keys_of(section: type[Any], instance: Any = None, prefix: tuple[str, ...] = ()) -> Iterator[KeySpec]:
    """Walk the keys of an attrs class, nested classes included; defaults come from `instance` (the class's own defaults by default).

    Raises ConfigError where a key has no default or a type that no file can hold.
    """
    if not attrs.has(section):
        raise ConfigError(f"{section.__name__} is no attrs class; declare a section with @attrs.frozen")
    made = default_instance(section) if instance is None else instance
    for field in attrs.fields(attrs.resolve_types(section)):
        path = (*prefix, field.name)
        if attrs.has(field.type):
            yield from keys_of(field.type, getattr(made, field.name), path)
            continue
        if not is_supported(field.type):
            raise ConfigError(
                f"key {'.'.join(path)} of {section.__name__} has type {type_name(field.type)}, which no configuration file can hold; "
                "use int, float, bool, str, Decimal, an Enum, a tuple of those, or a nested attrs class"
            )
        yield KeySpec(path, field.type, getattr(made, field.name), Meaning.of(field))


def default_instance(section: type[Any]) -> Any:
    """Make the section from its defaults alone. Raises ConfigError where a key has none."""
    try:
        return section()
    except TypeError as error:
        raise ConfigError(f"{section.__name__} cannot be made from its defaults ({error}); give every key a default") from error


def build(section: type[Any], values: dict[tuple[str, ...], Any], prefix: tuple[str, ...] = ()) -> Any:
    """Make a section from the typed values of all its keys."""
    arguments = {}
    for field in attrs.fields(section):
        path = (*prefix, field.name)
        arguments[field.alias or field.name] = build(field.type, values, path) if attrs.has(field.type) else values[path]
    return section(**arguments)


# -- types ------------------------------------------------------------------------------------------------------------
SCALARS: dict[Any, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Decimal: "a decimal number"}


def is_supported(kind: Any) -> bool:
    """Whether a file can hold values of the type."""
    if kind in SCALARS or (isinstance(kind, type) and issubclass(kind, Enum)):
        return True
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        rest = [each for each in arguments if each is not NoneType]
        return len(rest) == 1 and is_supported(rest[0])
    return origin in (tuple, list) and all(is_supported(each) for each in arguments if each is not Ellipsis)


def type_name(kind: Any) -> str:
    """Say in words what a key takes."""
    if kind in SCALARS:
        return SCALARS[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(str(each.value) for each in kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(type_name(each) for each in arguments if each is not NoneType)
    if origin in (tuple, list):
        return "a list of " + " and ".join(dict.fromkeys(type_name(each) for each in arguments if each is not Ellipsis))
    return str(getattr(kind, "__name__", kind))


def is_text(kind: Any) -> bool:
    """Whether a value given as bare text (environment, flag) is to be taken literally."""
    if get_origin(kind) in (Union, UnionType):
        return any(is_text(each) for each in get_args(kind) if each is not NoneType)
    return isinstance(kind, type) and issubclass(kind, str | Enum)


def out_of_bounds(value: Any, meaning: Meaning) -> str | None:
    """Return what is wrong with a value, or None."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"must be finite, found {value}"
    low, high = meaning.low, meaning.high
    for each in value if isinstance(value, tuple | list) else (value,):
        if each is not None and not ((low is None or each >= low) and (high is None or each <= high)):
            found = REDACTED if meaning.secret else each
            return f"must lie in {bounds_text(meaning)}, found {found}"
    return None


def bounds_text(meaning: Meaning) -> str:
    """Write the bounds and unit of a key, for example `1 … 10000 bps`."""
    if meaning.low is None and meaning.high is None:
        return meaning.unit
    low = "-∞" if meaning.low is None else f"{meaning.low:g}" if isinstance(meaning.low, float) else f"{meaning.low}"
    high = "∞" if meaning.high is None else f"{meaning.high:g}" if isinstance(meaning.high, float) else f"{meaning.high}"
    return f"{low} … {high} {meaning.unit}".rstrip()


def convert(spec: KeySpec, raw: Any) -> Any:
    """Turn a raw value (as TOML gives it) into the key's type. Raises ConfigError with what was found and what is allowed; nothing is coerced."""
    try:
        value = _converter().structure(raw, spec.type)
    except (TypeError, ValueError) as error:
        found = REDACTED if spec.meaning.secret else f"{raw!r}" if isinstance(raw, str) else f"{raw}".lower() if isinstance(raw, bool) else f"{raw}"
        raise ConfigError(f"must be {type_name(spec.type)}, found {found}") from error
    problem = out_of_bounds(value, spec.meaning)
    if problem:
        raise ConfigError(problem)
    return value


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: enums by value, Decimal as text, tuples as lists."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return str(value)
    return [plain(each) for each in value] if isinstance(value, tuple | list) else value


@cache
def _converter() -> cattrs.Converter:
    """Make the strict converter: a value of another type is an error, where cattrs alone would call int() or bool() on it."""
    converter = cattrs.Converter(detailed_validation=False)
    converter.register_structure_hook(bool, _exactly((bool,)))
    converter.register_structure_hook(int, _exactly((int,)))
    converter.register_structure_hook(str, _exactly((str,)))
    converter.register_structure_hook(float, lambda raw, kind: float(_exactly((int, float))(raw, kind)))
    converter.register_structure_hook(Decimal, _decimal)
    converter.register_structure_hook_func(_is_sequence, _sequence)
    return converter


def _is_sequence(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin in (tuple, list)


def _exactly(allowed: tuple[type, ...]) -> Callable[[Any, Any], Any]:
    def structure(raw: Any, kind: Any) -> Any:
        if isinstance(kind, type) and issubclass(kind, Enum):  # an enum of words or numbers is dispatched as str or int
            return kind(raw)
        if isinstance(raw, bool) and bool not in allowed or not isinstance(raw, allowed):
            raise TypeError(f"{raw!r} is no {kind}")
        return raw

    return structure


def _decimal(raw: Any, kind: Any) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise TypeError(f"{raw!r} is no number")
    try:
        return Decimal(str(raw))
    except InvalidOperation as error:
        raise ValueError(f"{raw!r} is no number") from error


def _sequence(raw: Any, kind: Any) -> Any:
    if not isinstance(raw, list | tuple):
        raise TypeError(f"{raw!r} is no list")
    arguments = get_args(kind)
    kinds: Sequence[Any] = [arguments[0]] * len(raw) if get_origin(kind) is list or arguments[-1] is Ellipsis else arguments
    if len(kinds) != len(raw):
        raise ValueError(f"{len(kinds)} values are needed")
    made = (_converter().structure(each, of) for each, of in zip(raw, kinds, strict=True))
    return list(made) if get_origin(kind) is list else tuple(made)
