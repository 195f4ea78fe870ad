"""The level rule in nautilus_trader: a Python strategy on trade ticks, filled by the simulated exchange on the top of book.

Prices are in ticks and sizes in lots (both with precision 0). The strategy subscribes to what the rule looks at, the prints; quotes go to the exchange's
book only. Prices are compared as raw integers, which is cheaper than comparing price objects. There is no latency model, logging and post-run analysis are off.
"""

from decimal import Decimal

from nautilus_trader import __version__
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import LoggingConfig
from nautilus_trader.core.nautilus_pyo3 import FIXED_PRECISION
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import QuoteTick, TradeTick
from nautilus_trader.model.enums import AccountType, AggressorSide, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TradeId, Venue
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy
from protocol import Columns, Outcome, Run, serve

VENUE = Venue("SIM")
PERP = InstrumentId(Symbol("PERP"), VENUE)
RAW = 10**FIXED_PRECISION
NO_LEVEL = 1 << 100


class LevelStrategy(Strategy):
    """The rule as a strategy."""

    def __init__(self, step_raw: int, period_ns: int, lots: int) -> None:
        super().__init__()
        self.step, self.period_ns = step_raw, period_ns
        self.size = Quantity.from_int(lots)
        self.fires = self.orders = self.side = self.last = 0
        self.upper, self.lower = NO_LEVEL, -NO_LEVEL
        self.fills: list[tuple[int, int, float]] = []

    def on_start(self) -> None:
        """Set the timer at multiples of the period and ask for prints."""
        now = self.clock.timestamp_ns()
        self.clock.set_timer_ns("period", self.period_ns, now // self.period_ns * self.period_ns, 0, self.on_period)
        self.subscribe_trade_ticks(PERP)

    def on_period(self, _event) -> None:  # type: ignore[no-untyped-def]
        """Close what is open and set the levels anew."""
        if self.side:
            self.order(-self.side)
        if self.last:
            self.upper, self.lower = self.last + self.step, self.last - self.step

    def on_trade_tick(self, tick: TradeTick) -> None:
        """Compare the print with both levels."""
        price = tick.price.raw
        self.last = price
        if self.lower < price < self.upper:
            return
        self.fires += 1
        self.order(-self.side or (-1 if price >= self.upper else 1))
        self.upper, self.lower = price + self.step, price - self.step

    def order(self, side: int) -> None:
        """Send a market order; `side` is +1 for a buy."""
        self.side += side
        self.orders += 1
        self.submit_order(self.order_factory.market(PERP, OrderSide.BUY if side > 0 else OrderSide.SELL, self.size))

    def on_order_filled(self, event) -> None:  # type: ignore[no-untyped-def]
        """Note the fill."""
        signed = int(event.last_qty) if event.order_side == OrderSide.BUY else -int(event.last_qty)
        self.fills.append((event.ts_event, signed, float(event.last_px)))


def instrument() -> CryptoPerpetual:
    """Make a perpetual whose prices are ticks and whose sizes are lots."""
    fees = {"maker_fee": Decimal("0.0002"), "taker_fee": Decimal("0.00055"), "margin_init": Decimal("0.01"), "margin_maint": Decimal("0.005")}
    return CryptoPerpetual(PERP, PERP.symbol, BTC, USDT, USDT, False, 0, 0, Price(1, 0), Quantity(1, 0), 0, 0, **fees)


def ticks(columns: Columns) -> list[QuoteTick | TradeTick]:
    """Convert the columns to tick objects in time order."""
    quote_columns = (columns[f"quote_{name}"].tolist() for name in ("ts", "bid", "ask", "bid_lots", "ask_lots"))
    out: list[QuoteTick | TradeTick] = [
        QuoteTick.from_raw(PERP, bid * RAW, ask * RAW, 0, 0, bid_lots * RAW, ask_lots * RAW, 0, 0, ts, ts)
        for ts, bid, ask, bid_lots, ask_lots in zip(*quote_columns, strict=True)
    ]
    trade_columns = (columns[f"trade_{name}"].tolist() for name in ("ts", "price", "signed_lots"))
    for number, (ts, price, signed) in enumerate(zip(*trade_columns, strict=True)):
        side = AggressorSide.BUYER if signed > 0 else AggressorSide.SELLER
        out.append(TradeTick.from_raw(PERP, price * RAW, 0, abs(signed) * RAW, 0, side, TradeId(str(number)), ts, ts))
    out.sort(key=lambda tick: tick.ts_init)
    return out


def prepare(columns: Columns, rule: dict[str, int]):  # type: ignore[no-untyped-def]
    """Convert once; each run gets a new engine, exchange and strategy over the same tick objects."""
    data = ticks(columns)
    previous: list[BacktestEngine] = []

    def fresh() -> Run:
        while previous:
            previous.pop().dispose()
        engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), run_analysis=False))
        engine.add_venue(VENUE, OmsType.NETTING, AccountType.MARGIN, [Money(10_000_000, USDT)], base_currency=USDT)
        engine.add_instrument(instrument())
        engine.add_data(data, validate=False, sort=False)
        strategy = LevelStrategy(rule["step_ticks"] * RAW, rule["period_ns"], rule["lots"])
        engine.add_strategy(strategy)
        previous.append(engine)

        def run() -> Outcome:
            engine.run()
            return {"fires": strategy.fires, "orders": strategy.orders, "fills": strategy.fills}

        return run

    return fresh


if __name__ == "__main__":
    serve(prepare, {"nautilus_trader": __version__})
