"""The configuration files that the checkout brings."""

from pathlib import Path

import pytest

from titan_core.cli.config import TITLES
from titan_core.config.load import load_config, schema_of
from titan_core.config.render import as_toml
from titan_core.plugin_host import discover

CONFIG = Path(__file__).resolve().parents[2] / "config"
DECLARATIONS = discover().declarations
SECTIONS = schema_of(DECLARATIONS)
SUMMARIES = TITLES | {declaration.id: f"{declaration.title}: {declaration.summary}" for declaration in DECLARATIONS}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_is_shipped_with_every_key(section: str) -> None:
    path = CONFIG / f"{section}.toml"
    if not path.exists() and section not in TITLES:
        pytest.skip("the file of a phase that this checkout does not bring")
    assert path.read_text("utf-8") == as_toml(SECTIONS[section], SUMMARIES[section]), f"renew it: titan config schema --toml {section} > config/{path.name}"


def test_the_shipped_files_set_nothing() -> None:
    config = load_config(CONFIG, DECLARATIONS, environ={})
    assert set(config.origins.values()) <= {"default", "declared by the plugin"}
    assert config.digest == load_config(None, DECLARATIONS, environ={}).digest


@pytest.mark.parametrize("key", [spec for keys in SECTIONS.values() for spec in keys], ids=lambda spec: spec.name)
def test_every_key_says_what_it_means(key: object) -> None:
    assert key.meaning.help  # type: ignore[attr-defined]
