"""Loading: default < file < environment < flag for each key, then the caps, then the typed sections."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attrs import frozen

from titan_core.config.caps import tighten
from titan_core.config.keys import KeySpec, build, convert, keys_of, plain
from titan_core.config.schema import LIMITS_TABLE, VENUES, BrainConfig, LiveConfig, PhaseLimits, ReplayConfig, VenueConfig
from titan_core.config.sources import Findings, KeyPath, Raw, read_environment, read_files, read_flags
from titan_core.errors import ConfigError, TitanError
from titan_core.model.ids import PhaseId, VenueId
from titan_core.model.phase import PhaseDeclaration

DEFAULT = "default"
DECLARED = "declared by the plugin"
DIRECTORY_VARIABLE = "TITAN_CONFIG"
DIRECTORY_NAME = "config"


class ConfigProblems(ConfigError):
    """Everything that is wrong with a configuration, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@frozen
class Setting:
    """A key with the value in force and where it comes from."""

    spec: KeySpec
    value: Any
    origin: str

    def as_row(self) -> dict[str, Any]:
        """Return it as plain data, secrets redacted."""
        return {"key": self.spec.name, "value": self.spec.show(self.value), "unit": self.spec.meaning.unit, "origin": self.origin}


@frozen(kw_only=True)
class Config:
    """The configuration in force. Immutable; a reload makes a new one."""

    directory: Path | None
    brain: BrainConfig
    replay: ReplayConfig
    live: LiveConfig
    venues: Mapping[VenueId, VenueConfig]
    phases: Mapping[PhaseId, Any]
    declarations: Mapping[PhaseId, PhaseDeclaration]
    """Each phase's declaration with the limits in force in the place of its own."""
    settings: tuple[Setting, ...]
    notes: tuple[str, ...]
    """What the user should know but nothing fails on: ignored files, values that a cap lowered."""
    digest: str
    """sha256 of all values in force, secrets left out."""

    def phase(self, phase: str) -> Any:
        """Return the instance of the phase's `config_type`. Raises KeyError for a phase that was not declared."""
        return self.phases[PhaseId(phase)]

    def declaration(self, phase: str) -> PhaseDeclaration:
        """Return the phase's declaration with the limits in force. Raises KeyError for a phase that was not declared."""
        return self.declarations[PhaseId(phase)]

    def venue(self, venue: str) -> VenueConfig:
        """Return the terms of a venue; those of an unknown venue are the defaults of `VenueConfig`."""
        return self.venues.get(VenueId(venue), VenueConfig())

    @property
    def origins(self) -> Mapping[str, str]:
        """Where the value of each key comes from, by dotted name."""
        return {setting.spec.name: setting.origin for setting in self.settings}


def find_directory(flag: Path | None, environ: Mapping[str, str], working_directory: Path) -> Path | None:
    """Return the directory of the configuration: the flag's, else `TITAN_CONFIG`, else `./config` where it exists, else None for the defaults."""
    if flag is not None:
        return flag
    if environ.get(DIRECTORY_VARIABLE):
        return Path(environ[DIRECTORY_VARIABLE])
    here = working_directory / DIRECTORY_NAME
    return Path(DIRECTORY_NAME) if here.is_dir() else None


def schema_of(declarations: Iterable[PhaseDeclaration]) -> dict[str, tuple[KeySpec, ...]]:
    """Return all keys by section, in the order in which they are shown."""
    venues = [spec for venue, terms in VENUES.items() for spec in keys_of(VenueConfig, terms, ("venues", venue))]
    schema = {
        "brain": tuple(keys_of(BrainConfig, None, ("brain",))),
        "live": tuple(keys_of(LiveConfig, None, ("live",))),
        "replay": tuple(keys_of(ReplayConfig, None, ("replay",))),
        "venues": tuple(venues),
    }
    for declaration in declarations:
        limits = keys_of(PhaseLimits, PhaseLimits.declared(declaration), (declaration.id, LIMITS_TABLE))
        own = () if declaration.config_type is object else keys_of(declaration.config_type, None, (declaration.id,))
        schema[declaration.id] = (*own, *limits)
    return schema


def load_config(
    directory: Path | None,
    declarations: Sequence[PhaseDeclaration],
    overrides: Iterable[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Load the configuration.

    `directory` holds `<section>.toml` files (None: built-in defaults), `overrides` are `section.key=value`, `environ` is the process's by default.
    Raises ConfigProblems that names every mistake with its file and line, what was found and what is allowed.
    """
    findings = Findings(schema_of(declarations))
    if directory is not None:
        read_files(findings, directory)
    read_environment(findings, os.environ if environ is None else environ)
    read_flags(findings, overrides)
    values = _typed(findings)
    if findings.problems:
        raise ConfigProblems(findings.problems)
    findings.notes += tighten(values, findings.schema, declarations)
    settings = tuple(Setting(spec, values[path].value, values[path].origin) for path, spec in findings.specs.items())
    return _assemble(directory, declarations, findings, settings)


def _typed(findings: Findings) -> dict[KeyPath, Raw]:
    values = {}
    for path, spec in findings.specs.items():
        raw = findings.values.get(path)
        if raw is None:
            values[path] = Raw(spec.default, DECLARED if LIMITS_TABLE in path[1:-1] else DEFAULT)
            continue
        try:
            values[path] = Raw(convert(spec, raw.value), raw.origin)
        except ConfigError as error:
            findings.problems.append(f"{raw.origin}: {spec.name} {error}")
    return values


def _assemble(directory: Path | None, declarations: Sequence[PhaseDeclaration], findings: Findings, settings: tuple[Setting, ...]) -> Config:
    values = {setting.spec.path: setting.value for setting in settings}

    def section(kind: type[Any], prefix: KeyPath) -> Any:
        try:
            return build(kind, values, prefix)
        except (ValueError, TypeError, TitanError) as error:
            given = [setting.origin for setting in settings if setting.spec.path[: len(prefix)] == prefix and setting.origin not in (DEFAULT, DECLARED)]
            findings.problems.append(f"{', '.join(given) or '.'.join(prefix)}: {error}")
            return None

    brain, replay, live = section(BrainConfig, ("brain",)), section(ReplayConfig, ("replay",)), section(LiveConfig, ("live",))
    venues = {venue: section(VenueConfig, ("venues", venue)) for venue in VENUES}
    phases = {p.id: None if p.config_type is object else section(p.config_type, (p.id,)) for p in declarations}
    limits = {p.id: section(PhaseLimits, (p.id, LIMITS_TABLE)) for p in declarations}
    if findings.problems:
        raise ConfigProblems(findings.problems)
    return Config(
        directory=directory,
        brain=brain,
        replay=replay,
        live=live,
        venues=MappingProxyType(venues),
        phases=MappingProxyType(phases),
        declarations=MappingProxyType({p.id: limits[p.id].applied_to(p) for p in declarations}),
        settings=settings,
        notes=tuple(findings.notes),
        digest=_digest(settings),
    )


def _digest(settings: Iterable[Setting]) -> str:
    shown = {setting.spec.name: plain(setting.value) for setting in settings if not setting.spec.meaning.secret}
    return hashlib.sha256(json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
