"""The Scavenger's hooks."""

from titan_core import CapitalBand, Handover, Health, LossLevels, PhaseDeclaration, PhaseId, Strategy, hookimpl
from titan_scavenger.config import ScavengerConfig
from titan_scavenger.flaws import Flaws
from titan_scavenger.strategy import Scavenger


def _create(config: ScavengerConfig) -> tuple[Strategy, ...]:
    return (Scavenger(config), Flaws(config)) if config.flaws else (Scavenger(config),)


@hookimpl
def titan_phase() -> PhaseDeclaration:
    """Declare the phase for 200 to 5,000 USDT."""
    return PhaseDeclaration(
        id=PhaseId("scavenger"),
        title="The Scavenger",
        summary="traps at structural levels of the perpetual, sprung when the spot market confirms",
        band=CapitalBand.usdt(200, 5_000),
        leverage=(15, 20),
        max_position_bps=5_000,
        daily_loss=LossLevels(300, 500, 700),
        drain_s=900,
        config_type=ScavengerConfig,
        create=_create,
    )


@hookimpl
def titan_health() -> Health:
    """Report that nothing outside the run is needed."""
    return Health(True)


@hookimpl
def titan_adopt(handover: Handover) -> bool:
    """Decline: a position without a trap behind it has no level to judge it by."""
    return False
