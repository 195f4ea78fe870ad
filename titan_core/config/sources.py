"""Where values come from: files, the environment, flags. Each gives raw values by key, and a complaint for what it does not understand."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from titan_core.config.keys import KeySpec, is_text
from titan_core.errors import ConfigError

ENVIRONMENT_PREFIX = "TITAN_"
LEVEL_SEPARATOR = "__"
KeyPath = tuple[str, ...]


@frozen
class Raw:
    """A value as its source gave it."""

    value: Any
    origin: str
    """Where it stands, as `titan config show` prints it: `config/brain.toml:12`, `environment TITAN_BRAIN__DWELL_S`, `--set`."""


@define
class Findings:
    """What all sources said; a later source replaces the value of an earlier one."""

    schema: Mapping[str, Sequence[KeySpec]]
    """Keys by section."""
    values: dict[KeyPath, Raw] = field(factory=dict)
    problems: list[str] = field(factory=list)
    notes: list[str] = field(factory=list)
    specs: dict[KeyPath, KeySpec] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.specs = {spec.path: spec for keys in self.schema.values() for spec in keys}

    def knows_section(self, name: str, origin: str, *, lenient: bool) -> bool:
        """Whether there is a section of that name; otherwise complain, or only note it where it may belong to a phase that is not installed."""
        if name in self.schema:
            return True
        near = get_close_matches(name, self.schema, 1, 0.75)
        if near or not lenient:
            hint = f'; did you mean "{near[0]}"?' if near else ""
            self.problems.append(f'{origin}: there is no section "{name}"{hint} (there is: {", ".join(self.schema)})')
        else:
            self.notes.append(f'{origin}: ignored, no installed phase is called "{name}"')
        return False

    def unknown(self, path: KeyPath, origin: str) -> None:
        """Complain about a key that does not exist, with the nearest one that does."""
        section, name = path[0], ".".join(path[1:])
        allowed = [".".join(spec.path[1:]) for spec in self.schema[section]]
        in_other_table = [each for each in allowed if each.rsplit(".", 1)[-1] == path[-1]]
        near = in_other_table or get_close_matches(name, allowed, 1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        self.problems.append(f'{origin}: unknown key "{name}" in section {section}{hint} (allowed: {", ".join(allowed)})')


def read_files(findings: Findings, directory: Path) -> None:
    """Read every `<section>.toml` of a directory. Raises ConfigError where it cannot be read at all."""
    if not directory.is_dir():
        what = "is not a directory" if directory.exists() else "does not exist"
        raise ConfigError(f"configuration directory {directory} {what}; give --config the directory that holds brain.toml")
    for path in sorted(directory.glob("*.toml")):
        if findings.knows_section(path.stem, str(path), lenient=True):
            _read_file(findings, path)


def _read_file(findings: Findings, path: Path) -> None:
    try:
        text = path.read_text("utf-8")
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        findings.problems.append(f"{path}: cannot be read as TOML: {error}")
        return
    lines = _lines_of_keys(text)

    def walk(table: Mapping[str, Any], prefix: KeyPath) -> None:
        for name, value in table.items():
            at = (*prefix, name)
            line = lines.get(at[1:])
            origin = str(path) if line is None else f"{path}:{line}"
            if at in findings.specs:
                findings.values[at] = Raw(value, origin)
            elif not any(known[: len(at)] == at for known in findings.specs):
                findings.unknown(at, origin)
            elif isinstance(value, dict):
                walk(value, at)
            else:
                findings.problems.append(f'{origin}: "{".".join(at[1:])}" is a table of keys: write [{".".join(at[1:])}] on a line of its own')

    walk(content, (path.stem,))


def read_environment(findings: Findings, environ: Mapping[str, str]) -> None:
    """Take the variables `TITAN_<SECTION>__<KEY>`; tables and keys are separated by two underscores, `-` is written `_`."""
    sections = {_as_variable((name,)): name for name in findings.schema}
    known = {_as_variable(path): path for path in findings.specs}
    for variable, text in sorted(environ.items()):
        words = variable.removeprefix(ENVIRONMENT_PREFIX)
        if words == variable or LEVEL_SEPARATOR not in words:
            continue
        origin = f"environment {variable}"
        first, _, rest = words.partition(LEVEL_SEPARATOR)
        if words in known:
            findings.values[known[words]] = Raw(_parse(text, findings.specs[known[words]]), origin)
        elif findings.knows_section(sections.get(first, first.lower()), origin, lenient=True):
            findings.unknown((sections[first], *rest.lower().split(LEVEL_SEPARATOR)), origin)


def read_flags(findings: Findings, overrides: Iterable[str]) -> None:
    """Take `section.key=value`, as `--set` gives it."""
    for override in overrides:
        name, separator, text = override.partition("=")
        path = tuple(name.strip().split("."))
        origin = f"--set {name.strip()}"
        if not separator or len(path) < 2:
            findings.problems.append(f"--set {override}: write it as SECTION.KEY=VALUE, for example brain.max_total_leverage=20")
        elif path in findings.specs:
            findings.values[path] = Raw(_parse(text.strip(), findings.specs[path]), origin)
        elif findings.knows_section(path[0], origin, lenient=False):
            findings.unknown(path, origin)


def _as_variable(path: KeyPath) -> str:
    return LEVEL_SEPARATOR.join(path).replace("-", "_").upper()


def _parse(text: str, spec: KeySpec) -> Any:
    """Read a value given as bare text: literally where the key takes text, as TOML otherwise. What is no TOML stays text and fails the type check."""
    if is_text(spec.type):
        return text
    try:
        content = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return content["value"] if len(content) == 1 else text


_TABLE = re.compile(r"^\s*\[\s*([A-Za-z0-9_.\-\"' ]+?)\s*\]\s*(#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-\"'][A-Za-z0-9_.\-\"' ]*?)\s*=")


def _lines_of_keys(text: str) -> dict[KeyPath, int]:
    """Find the line of each key and table. It is a help for messages, no parser: what it misses is reported without a line."""
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = _split_dotted(header[1])
            lines.setdefault(table, number)
        elif assignment := _KEY.match(line):
            lines.setdefault((*table, *_split_dotted(assignment[1])), number)
    return lines


def _split_dotted(text: str) -> KeyPath:
    return tuple(part.strip().strip("\"'") for part in text.split("."))
