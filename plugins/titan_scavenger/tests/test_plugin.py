"""What the plugin declares."""

from titan_core import CapitalBand, Handover, Health, PhaseId
from titan_scavenger import plugin
from titan_scavenger.config import ScavengerConfig
from titan_scavenger.strategy import Scavenger


def test_the_declaration_is_that_of_the_phase():
    phase = plugin.titan_phase()
    assert (phase.id, phase.band, phase.leverage) == ("scavenger", CapitalBand.usdt(200, 5_000), (15, 20))
    assert (phase.max_position_bps, phase.drain_s, phase.hedged) == (5_000, 900, False)
    assert (phase.daily_loss.reduced_bps, phase.daily_loss.halted_bps, phase.daily_loss.escalated_bps) == (300, 500, 700)


def test_each_activation_gets_a_new_strategy():
    phase = plugin.titan_phase()
    first, second = phase.create(ScavengerConfig()), phase.create(ScavengerConfig())
    assert isinstance(first[0], Scavenger) and first[0] is not second[0]


def test_it_is_healthy_and_adopts_nothing():
    assert plugin.titan_health() == Health(True)
    assert plugin.titan_adopt(Handover(PhaseId("hunter"), {})) is False
