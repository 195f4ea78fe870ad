"""The Hunter's hooks."""

from titan_core import CapitalBand, Handover, Health, LossLevels, PhaseDeclaration, PhaseId, hookimpl
from titan_hunter.config import HunterConfig
from titan_hunter.strategy import Hunter


def _create(config: HunterConfig) -> tuple[Hunter, ...]:
    return (Hunter(config),)


@hookimpl
def titan_phase() -> PhaseDeclaration:
    """Declare the phase for 2,500 to 50,000 USDT."""
    return PhaseDeclaration(
        id=PhaseId("hunter"),
        title="The Hunter",
        summary="post-only entries at order blocks where the daily, 4-hour and 15-minute structure agree",
        band=CapitalBand.usdt(2_500, 50_000),
        leverage=(3, 5),
        max_position_bps=2_500,
        daily_loss=LossLevels(300, 500, 700),
        drain_s=900,
        config_type=HunterConfig,
        create=_create,
    )


@hookimpl
def titan_health() -> Health:
    """Report that nothing outside the run is needed."""
    return Health(True)


@hookimpl
def titan_adopt(handover: Handover) -> bool:
    """Accept positions that have a stop: a trade of hours can be carried on; one without a stop is nobody's trade."""
    return all(stop is not None for _, stop in handover.positions.values())
