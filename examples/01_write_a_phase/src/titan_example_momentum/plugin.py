"""The hooks of the momentum phase."""

from titan_core import CapitalBand, Handover, Health, LossLevels, PhaseDeclaration, PhaseId, hookimpl
from titan_example_momentum.config import MomentumConfig
from titan_example_momentum.strategy import Momentum


def _create(config: MomentumConfig) -> list[Momentum]:
    return [Momentum(config)]


@hookimpl
def titan_phase() -> PhaseDeclaration:
    """Declare the phase."""
    return PhaseDeclaration(
        id=PhaseId("momentum"),
        title="Momentum",
        summary="goes with the hour's move while spot takers agree, behind a stop that follows",
        band=CapitalBand.usdt(500, 20_000),
        leverage=(1, 4),
        max_position_bps=6_000,
        daily_loss=LossLevels(250, 400, 600),
        drain_s=1_200,
        config_type=MomentumConfig,
        create=_create,
    )


@hookimpl
def titan_health() -> Health:
    """Nothing outside the run is needed."""
    return Health(True)


@hookimpl
def titan_adopt(handover: Handover) -> bool:
    """Take over one position with a stop: the strategy looks after it like after its own."""
    return len(handover.positions) == 1 and all(stop is not None for _, stop in handover.positions.values())
