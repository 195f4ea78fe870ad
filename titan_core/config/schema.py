"""The sections of the configuration and their keys. A phase's own section is the `config_type` that its plugin declares, plus `[limits]`."""

from collections.abc import Mapping
from types import MappingProxyType

import attrs
from attrs import frozen

from titan_core.brain.limits import BrainLimits
from titan_core.config.keys import key
from titan_core.errors import ConfigError
from titan_core.model.ids import VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.phase import LossLevels, PhaseDeclaration
from titan_core.model.units import BPS

BrainConfig = BrainLimits
"""Section `brain`: limits on the account as a whole."""


@frozen(kw_only=True)
class ReplayConfig:
    """Section `replay`: what a replay assumes about the world outside the recording."""

    equity_usdt: int = key(1_000, "equity of the account at the start", unit="USDT", low=1, high=1_000_000_000)
    order_latency_ms: int = key(5, "time from the sending of an order or a cancel to its arrival at the book", unit="ms", low=0, high=60_000)
    slippage_ticks: int = key(1, "what a market order pays beyond the best price where the recording has no depth", unit="ticks", low=0, high=10_000)
    callback_timeout_s: int = key(10, "time after which a strategy's callback counts as hung and the run is aborted", unit="s", low=1, high=3_600)
    seed: int = key(1, "seed of the market that is generated where no recording is given", low=0, high=2**32 - 1)


@frozen(kw_only=True)
class LiveConfig:
    """Section `live`: sessions of `titan run`, on paper and with real money."""

    coins: tuple[str, ...] = key(("BTC",), "coins that are traded, each by its spot market's data and its perpetual; the built-in market has BTC")
    history_bars: int = key(400, "five-minute bars that are read from the venue before the first live row", unit="bars", low=1, high=1_000)
    guard_hang_s: int = key(10, "time without a sign of life after which the guard process leaves the market for a session", unit="s", low=2, high=600)


@frozen(kw_only=True)
class VenueConfig:
    """Section `venues.<venue>`: the terms of one account there. They replace what a recording says about the venue's instruments."""

    maker_fee_ppm: int = key(200, "fee for adding liquidity; negative for a rebate", unit="ppm", low=-10_000, high=100_000)
    taker_fee_ppm: int = key(550, "fee for taking liquidity", unit="ppm", low=0, high=100_000)
    liquidation_fee_bps: int = key(50, "fee of a liquidation, on its notional", unit="bps", low=0, high=BPS)

    def applied_to(self, instrument: Instrument) -> Instrument:
        """Return the instrument on these terms."""
        return attrs.evolve(instrument, maker_fee_ppm=self.maker_fee_ppm, taker_fee_ppm=self.taker_fee_ppm, liquidation_fee_bps=self.liquidation_fee_bps)


VENUES: Mapping[VenueId, VenueConfig] = MappingProxyType(
    {
        VenueId("binance-spot"): VenueConfig(maker_fee_ppm=1_000, taker_fee_ppm=1_000, liquidation_fee_bps=0),
        VenueId("binance-usdm"): VenueConfig(maker_fee_ppm=200, taker_fee_ppm=500),
        VenueId("bybit-spot"): VenueConfig(maker_fee_ppm=1_000, taker_fee_ppm=1_000, liquidation_fee_bps=0),
        VenueId("bybit-linear"): VenueConfig(maker_fee_ppm=200, taker_fee_ppm=550),
        VenueId("mexc-contract"): VenueConfig(maker_fee_ppm=100, taker_fee_ppm=400),
    }
)
"""The venues that Titan knows, with the fees of an account without discount."""


@frozen(kw_only=True)
class PhaseLimits:
    """Table `limits` of a phase's section: what the Brain enforces on it. A value may tighten what the plugin declares, never loosen it."""

    max_leverage: int = key(1, "largest notional of the phase as a multiple of its equity", unit="x", low=1, high=125)
    max_position_bps: int = key(BPS, "largest margin of the phase as a share of its equity", unit="bps", low=1, high=BPS)
    loss_reduced_bps: int = key(300, "loss of a day at which sizes are halved (L1)", unit="bps", low=1, high=BPS)
    loss_halted_bps: int = key(500, "loss of a day at which entries stop (L2)", unit="bps", low=1, high=BPS)
    loss_escalated_bps: int = key(700, "loss of a day at which the phase is flattened and the Brain told (L3)", unit="bps", low=1, high=BPS)
    drain_s: int = key(900, "time that a leaving phase has for closing its positions by itself before they are flattened", unit="s", low=0, high=86_400)

    def __attrs_post_init__(self) -> None:
        if not self.loss_reduced_bps < self.loss_halted_bps < self.loss_escalated_bps:
            raise ConfigError(
                "the losses of a day must rise: loss_reduced_bps < loss_halted_bps < loss_escalated_bps, "
                f"found {self.loss_reduced_bps}, {self.loss_halted_bps}, {self.loss_escalated_bps}"
            )

    @classmethod
    def declared(cls, declaration: PhaseDeclaration) -> "PhaseLimits":
        """Return the limits that a plugin declares."""
        losses = declaration.daily_loss
        return cls(
            max_leverage=declaration.leverage[1],
            max_position_bps=declaration.max_position_bps,
            loss_reduced_bps=losses.reduced_bps,
            loss_halted_bps=losses.halted_bps,
            loss_escalated_bps=losses.escalated_bps,
            drain_s=declaration.drain_s,
        )

    def applied_to(self, declaration: PhaseDeclaration) -> PhaseDeclaration:
        """Return the declaration with these limits in the place of its own."""
        return attrs.evolve(
            declaration,
            leverage=(min(declaration.leverage[0], self.max_leverage), self.max_leverage),
            max_position_bps=self.max_position_bps,
            daily_loss=LossLevels(self.loss_reduced_bps, self.loss_halted_bps, self.loss_escalated_bps),
            drain_s=self.drain_s,
        )


CORE_SECTIONS: Mapping[str, type] = MappingProxyType({"brain": BrainConfig, "live": LiveConfig, "replay": ReplayConfig, "venues": VenueConfig})
"""Sections that belong to Titan itself, each the name of a file; no phase may be called like one."""
LIMITS_TABLE = "limits"
