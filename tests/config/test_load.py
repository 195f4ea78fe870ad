"""Loading: precedence, origins, caps, and messages that say what to do."""

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from titan_core.config.keys import key
from titan_core.config.load import Config, ConfigProblems, find_directory, load_config
from titan_core.config.schema import BrainConfig
from titan_core.errors import ConfigError
from titan_core.model.ids import PhaseId
from titan_core.model.phase import CapitalBand, LossLevels, PhaseDeclaration


@attrs.frozen
class TrapConfig:
    leverage: int = key(20, "leverage of a trap", unit="x", low=1, high=100, cap="max_leverage")
    width_bps: int = key(10, "width of a trap", unit="bps", low=1, high=500)
    token: str = key("", "a secret word", secret=True)


TRAPPER = PhaseDeclaration(
    id=PhaseId("trapper"),
    title="Trapper",
    summary="a phase for tests",
    band=CapitalBand.usdt(200, 5_000),
    leverage=(15, 20),
    max_position_bps=5_000,
    daily_loss=LossLevels(300, 500, 700),
    config_type=TrapConfig,
)

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text, "utf-8")
        return tmp_path

    return write_file


def load(directory: Path | None = None, *overrides: str, **environ: str) -> Config:
    return load_config(directory, [TRAPPER], overrides, environ)


def problems(directory: Path | None = None, *overrides: str, **environ: str) -> tuple[str, ...]:
    with pytest.raises(ConfigProblems) as caught:
        load(directory, *overrides, **environ)
    return caught.value.problems


# -- precedence ---------------------------------------------------------------------------------------------------------
def test_without_a_directory_the_defaults_apply() -> None:
    config = load()
    assert config.brain == BrainConfig()
    assert config.phase("trapper") == TrapConfig()
    assert config.declaration("trapper") == TRAPPER
    assert set(config.origins.values()) == {"default", "declared by the plugin"}
    assert config.notes == ()


def test_flag_beats_environment_beats_file_beats_default(write: Write) -> None:
    directory = write("brain.toml", "# limits\ndwell_s = 100\nstale_s = 10\ndrift_bps = 1\n")
    config = load(directory, "brain.dwell_s=300", TITAN_BRAIN__DWELL_S="200", TITAN_BRAIN__STALE_S="20")
    assert (config.brain.dwell_s, config.brain.stale_s, config.brain.drift_bps, config.brain.band_enter_bps) == (300, 20, 1, 200)
    assert config.origins["brain.dwell_s"] == "--set brain.dwell_s"
    assert config.origins["brain.stale_s"] == "environment TITAN_BRAIN__STALE_S"
    assert config.origins["brain.drift_bps"] == f"{directory / 'brain.toml'}:4"
    assert config.origins["brain.band_enter_bps"] == "default"


def test_tables_and_venues_are_addressed_alike_from_all_sources(write: Write) -> None:
    directory = write("venues.toml", "[bybit-linear]\nmaker_fee_ppm = 150\n\n[binance-spot]\ntaker_fee_ppm = 750\n")
    config = load(directory, "trapper.limits.drain_s=60", TITAN_VENUES__BYBIT_LINEAR__TAKER_FEE_PPM="400")
    assert (config.venue("bybit-linear").maker_fee_ppm, config.venue("bybit-linear").taker_fee_ppm) == (150, 400)
    assert config.venue("binance-spot").taker_fee_ppm == 750
    assert config.origins["venues.binance-spot.taker_fee_ppm"].endswith("venues.toml:5")
    assert config.declaration("trapper").drain_s == 60


def test_text_is_taken_literally_and_everything_else_as_toml() -> None:
    assert load(None, "trapper.token=17").phase("trapper").token == "17"
    assert load(None, "trapper.width_bps=1_0").phase("trapper").width_bps == 10
    assert "must be a whole number, found '10\\nx = 1'" in problems(None, "trapper.width_bps=10\nx = 1")[0]


# -- caps ---------------------------------------------------------------------------------------------------------------
def test_the_brain_caps_phase_and_strategy() -> None:
    config = load(None, "brain.max_total_leverage=10")
    assert config.declaration("trapper").leverage == (10, 10)
    assert config.phase("trapper").leverage == 10
    assert config.origins["trapper.limits.max_leverage"] == "capped by brain.max_total_leverage (given 20: declared by the plugin)"
    assert config.origins["trapper.leverage"].startswith("capped by trapper.limits.max_leverage")


def test_a_phase_may_not_loosen_what_its_plugin_declares() -> None:
    config = load(None, "trapper.limits.max_leverage=40", "trapper.limits.max_position_bps=9000", "trapper.limits.loss_halted_bps=600")
    assert config.declaration("trapper").leverage == (15, 20)
    assert config.declaration("trapper").max_position_bps == 5_000
    assert config.declaration("trapper").daily_loss == LossLevels(300, 500, 700)
    assert any("trapper.limits.max_leverage = 40" in note and "capped to 20" in note for note in config.notes)


def test_a_phase_may_tighten_what_its_plugin_declares() -> None:
    config = load(None, "trapper.limits.max_leverage=12", "trapper.limits.loss_reduced_bps=100")
    assert config.declaration("trapper").leverage == (12, 12)
    assert config.declaration("trapper").daily_loss == LossLevels(100, 500, 700)
    assert config.phase("trapper").leverage == 12


@given(brain=st.integers(1, 125), phase=st.integers(1, 125), strategy=st.integers(1, 100))
def test_the_effective_leverage_is_the_minimum_of_all(brain: int, phase: int, strategy: int) -> None:
    config = load(None, f"brain.max_total_leverage={brain}", f"trapper.limits.max_leverage={phase}", f"trapper.leverage={strategy}")
    effective = min(brain, phase, strategy, TRAPPER.leverage[1])
    assert config.declaration("trapper").leverage[1] == effective
    assert config.phase("trapper").leverage == effective


# -- mistakes -----------------------------------------------------------------------------------------------------------
def test_an_unknown_key_is_answered_with_file_line_and_the_nearest_key(write: Write) -> None:
    directory = write("brain.toml", "\nmax_total_leverge = 20\n")
    (problem,) = problems(directory)
    assert problem.startswith(f'{directory / "brain.toml"}:2: unknown key "max_total_leverge" in section brain; did you mean "max_total_leverage"?')
    assert "allowed: drawdown_warning_bps, " in problem


def test_a_key_in_the_wrong_table_is_found(write: Write) -> None:
    assert 'did you mean "limits.max_leverage"?' in problems(write("trapper.toml", "max_leverage = 3\n"))[0]


def test_every_mistake_is_reported_at_once(write: Write) -> None:
    write("brain.toml", 'dwell_s = "long"\nmax_total_leverage = 1000\n')
    directory = write("venues.toml", "[bybit-linaer]\nmaker_fee_ppm = 1\n")
    found = problems(directory, "brain.stale_s=0", "nonsense", TITAN_BRAIN__DWEL_S="1")
    assert len(found) == 6
    text = "\n".join(found)
    assert "brain.toml:1: brain.dwell_s must be a whole number, found 'long'" in text
    assert "brain.toml:2: brain.max_total_leverage must lie in 1 … 125 x, found 1000" in text
    assert 'venues.toml:1: unknown key "bybit-linaer"' in text
    assert "--set brain.stale_s: brain.stale_s must lie in 1 … 86400 s, found 0" in text
    assert "--set nonsense: write it as SECTION.KEY=VALUE" in text
    assert 'environment TITAN_BRAIN__DWEL_S: unknown key "dwel_s" in section brain; did you mean "dwell_s"?' in text


def test_keys_that_contradict_each_other_are_reported_with_their_origin() -> None:
    (problem,) = problems(None, "brain.drawdown_warning_bps=2000")
    assert problem.startswith("--set brain.drawdown_warning_bps: ")
    assert "warning < reduced < emergency" in problem


def test_losses_that_do_not_rise_are_refused() -> None:
    assert "must rise" in problems(None, "trapper.limits.loss_escalated_bps=400")[0]


@pytest.mark.parametrize("text", ["dwell_s = ", "dwell_s = 1\ndwell_s = 2\n", "[[[\n"])
def test_what_is_no_toml_is_reported_with_its_place(write: Write, text: str) -> None:
    (problem,) = problems(write("brain.toml", text))
    assert "brain.toml: cannot be read as TOML" in problem
    assert "line" in problem or "end of document" in problem


def test_a_file_that_is_no_text_is_reported(tmp_path: Path) -> None:
    (tmp_path / "brain.toml").write_bytes(b"\xff\xfe\x00")
    assert "brain.toml: cannot be read as TOML" in problems(tmp_path)[0]


def test_a_value_where_a_table_belongs_is_reported(write: Write) -> None:
    assert "write [limits] on a line of its own" in problems(write("trapper.toml", "limits = 3\n"))[0]


def test_a_misspelled_file_is_an_error(write: Write) -> None:
    assert 'there is no section "brian"; did you mean "brain"?' in problems(write("brian.toml", ""))[0]


def test_the_file_of_a_phase_that_is_not_installed_is_noted(write: Write) -> None:
    config = load(write("hunter.toml", "anything = 1\n"), TITAN_SENTINEL__X="1")
    assert [note.split(": ", 1)[1] for note in config.notes] == [
        'ignored, no installed phase is called "hunter"',
        'ignored, no installed phase is called "sentinel"',
    ]


def test_a_flag_for_a_section_that_does_not_exist_is_an_error() -> None:
    assert "there is no section" in problems(None, "hunter.x=1")[0]


@pytest.mark.parametrize("exists", [True, False])
def test_the_directory_must_be_one(tmp_path: Path, exists: bool) -> None:
    path = tmp_path / "config"
    if exists:
        path.write_text("")
    with pytest.raises(ConfigError, match="is not a directory" if exists else "does not exist"):
        load(path)


def test_variables_of_others_are_left_alone() -> None:
    assert load(None, TITAN_DEBUG="1", TITAN_CONFIG="x", PATH="/bin", TITANIC__SHIP="1").notes == ()


# -- secrets and digest -------------------------------------------------------------------------------------------------
def test_a_secret_is_redacted_and_takes_no_part_in_the_digest() -> None:
    config = load(None, "trapper.token=hunter2")
    assert config.phase("trapper").token == "hunter2"
    assert {setting.spec.name: setting.as_row() for setting in config.settings}["trapper.token"]["value"] == "***"
    assert config.digest == load().digest


def test_the_digest_follows_the_values_and_not_their_origin(write: Write) -> None:
    by_flag, by_file = load(None, "brain.dwell_s=60"), load(write("brain.toml", "dwell_s = 60\n"))
    assert by_flag.digest == by_file.digest != load().digest
    assert load(None, "brain.dwell_s=900").digest == load().digest


# -- where the files are ------------------------------------------------------------------------------------------------
def test_the_directory_is_that_of_flag_variable_or_working_directory(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    assert find_directory(Path("a"), {"TITAN_CONFIG": "b"}, tmp_path) == Path("a")
    assert find_directory(None, {"TITAN_CONFIG": "b"}, tmp_path) == Path("b")
    assert find_directory(None, {}, tmp_path) == Path("config")
    assert find_directory(None, {}, tmp_path / "config") is None
