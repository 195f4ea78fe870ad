"""The Sentinel's hooks."""

from titan_core import CapitalBand, Handover, Health, LossLevels, PhaseDeclaration, PhaseId, hookimpl
from titan_sentinel.config import SentinelConfig
from titan_sentinel.strategy import Sentinel


def _create(config: SentinelConfig) -> tuple[Sentinel, ...]:
    return (Sentinel(config),)


@hookimpl
def titan_phase() -> PhaseDeclaration:
    """Declare the phase for 50,000 USDT and above."""
    return PhaseDeclaration(
        id=PhaseId("sentinel"),
        title="The Sentinel",
        summary="long spot against short perpetual where the basis is stretched or the funding pays",
        band=CapitalBand.usdt(50_000),
        leverage=(1, 3),
        max_position_bps=10_000,
        daily_loss=LossLevels(200, 400, 600),
        drain_s=900,
        hedged=True,
        config_type=SentinelConfig,
        create=_create,
    )


@hookimpl
def titan_health() -> Health:
    """Report that nothing outside the run is needed."""
    return Health(True)


@hookimpl
def titan_adopt(handover: Handover) -> bool:
    """Decline: what a directional phase holds has no other leg."""
    return False
