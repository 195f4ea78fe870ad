"""Pictures of sessions: calm, in trouble, in an emergency."""

from typing import Any

from msgspec.structs import replace

from titan_core.app.live.status import (
    FeedStatus,
    FillLine,
    JournalLine,
    LinkStatus,
    NoteLine,
    OrderStatusLine,
    PhaseStatus,
    PositionStatus,
    SessionStatus,
    TradeLine,
)
from titan_core.model.units import MONEY_PER_USDT, Money, S

NOW = 1_723_161_253 * S
PERP, SPOT = "BTCUSDT.bybit-linear", "BTCUSDT.binance-spot"


def usdt(amount: float) -> Money:
    return Money(round(amount * MONEY_PER_USDT))


def phase(name: str = "scavenger", state: str = "active", *, equity: float = 1_023.45, day: float = 23.45, positions: int = 1, **more: Any) -> PhaseStatus:
    band = {"scavenger": "200 – 5,000", "hunter": "2,500 – 50,000", "sentinel": "50,000 and above"}.get(name, "")
    return PhaseStatus(id=name, state=state, band=f"{band} USDT", equity=usdt(equity), day_result=usdt(day), positions=positions, **more)


def position(instrument: str = PERP, quantity: str = "0.042", result: float = 6.3, **more: Any) -> PositionStatus:
    given: dict[str, Any] = {"entry_price": "60812.4", "mark_price": "60962.5", "notional": usdt(2_560.4), "stop": "60310.0", "target": "61750.0"}
    return PositionStatus(instrument=instrument, phase="scavenger", quantity=quantity, unrealised=usdt(result), **(given | more))


def order(number: int = 1, side: str = "buy", order_type: str = "limit", price: str = "60120.5", status: str = "accepted") -> OrderStatusLine:
    return OrderStatusLine(
        client_order_id=f"scavenger.trap.1.{number}",
        phase="scavenger",
        instrument=PERP,
        side=side,
        order_type=order_type,
        quantity="0.042",
        leaves="0.042",
        price=price,
        status=status,
    )


def fill(number: int = 1, side: str = "buy") -> FillLine:
    return FillLine(
        ts_ns=NOW - 90 * S + number * 7 * S,
        phase="scavenger",
        instrument=PERP,
        side=side,
        quantity="0.042",
        price=f"608{number:02d}.4",
        fee=usdt(1.4047),
        liquidity="taker" if number % 2 else "maker",
        tag="sprung",
    )


def trade(number: int = 1, net: float = 4.25) -> TradeLine:
    return TradeLine(
        phase="scavenger",
        instrument=PERP,
        side="long" if number % 2 else "short",
        quantity="0.042",
        entry_ns=NOW - 3_600 * S * number,
        exit_ns=NOW - 3_600 * S * number + 754 * S,
        entry_price="60812.4",
        exit_price="60962.5",
        fees=usdt(2.81),
        funding=usdt(-0.03),
        net=usdt(net),
        tag="sprung",
    )


def feed(instrument: str = PERP, bid: float = 60_962.4, age: float = 0.2, doubt: str = "") -> FeedStatus:
    return FeedStatus(instrument=instrument, bid=f"{bid:.1f}", ask=f"{bid + 0.1:.1f}", events=184_220, age_s=age, doubt=doubt)


def note(number: int, author: str, text: str) -> NoteLine:
    return NoteLine(ts_ns=NOW - 200 * S + number * 9 * S, author=author, text=text)


LINK = LinkStatus(venue="bybit", is_answering=True, is_streaming=True, clock_offset_s=0.003, reconciled_ns=NOW - 12 * S)
NOTES = (
    note(1, "brain", "reconciled: books agree with bybit"),
    note(2, "brain", "scavenger: arming -> active"),
    note(3, "scavenger", "trap laid below 60,120.5: swept low of the London session, 3 touches"),
    note(4, "brain", "refused risk_budget: 31.20 USDT at the stop, 28.75 USDT are left today"),
    note(5, "scavenger", "trap sprung, spot confirms: +412 contracts in 1.5 s"),
)


def calm(**more: Any) -> SessionStatus:
    """A paper session on the built-in market, trading."""
    given: dict[str, Any] = {
        "name": "paper",
        "pid": 4711,
        "mode": "paper",
        "feed": "built-in",
        "speed": 60.0,
        "started_ns": NOW - 8_040 * S,
        "now_ns": NOW,
        "stage": "running",
        "brain": "operational: risk normal, link up, control running; scavenger active, hunter dormant, sentinel dormant",
        "risk": "normal",
        "gate": "open",
        "equity": usdt(1_023.45),
        "peak": usdt(1_040.02),
        "drawdown_ppm": 15_932,
        "start_equity": usdt(1_000),
        "cash": usdt(1_017.15),
        "fees": usdt(18.24),
        "funding": usdt(-0.31),
        "trades": 12,
        "wins": 7,
        "phases": (phase(), phase("hunter", "dormant", equity=0, day=0, positions=0), phase("sentinel", "dormant", equity=0, day=0, positions=0)),
        "positions": (position(),),
        "orders": (order(1), order(2, "sell", "limit", "61750.0"), order(3, "sell", "stop_market", "60310.0")),
        "feeds": (feed(), feed(SPOT, 60_958.1, 0.4)),
        "link": LINK,
        "journal": JournalLine(status="ok", last_seq=12_482, durable_seq=12_480),
        "fills": tuple(fill(number, "sell" if number % 3 == 0 else "buy") for number in range(1, 9)),
        "notes": NOTES,
        "seed": 7,
    }
    return SessionStatus(**(given | more))


def reduced() -> SessionStatus:
    return calm(
        brain="operational: risk reduced, link degraded, control running; scavenger reduced, hunter dormant",
        risk="reduced",
        drawdown_ppm=131_400,
        equity=usdt(903.4),
        phases=(phase(state="reduced", equity=903.4, day=-31.2), phase("hunter", "dormant", equity=0, day=0, positions=0)),
        link=replace(LINK, is_streaming=False, clock_offset_s=0.62),
    )


def emergency(step: str = "flattening") -> SessionStatus:
    locked = step == "locked"
    return calm(
        name="live",
        mode="live",
        feed="live",
        speed=1.0,
        seed=None,
        brain=f"emergency.{step}",
        risk="",
        gate="closed",
        drawdown_ppm=151_210,
        equity=usdt(882.7),
        positions=() if locked else (position(result=-41.3, stop=""), position("ETHUSDT.bybit-linear", "-1.20", -12.4)),
        orders=(),
        phases=(phase(state="disabled" if locked else "active", equity=882.7, day=-72.8, positions=0 if locked else 2),),
        notes=(*NOTES, note(6, "brain", "panic: drawdown 15.12 %"), note(7, "brain", "gate closed"), note(8, "brain", "entries cancelled")),
    )


def troubled() -> SessionStatus:
    """Everything at once: a phase in quarantine, a stale feed, a full journal, a bare position, a silent venue."""
    return calm(
        name="alpha-2",
        mode="live",
        feed="live",
        speed=1.0,
        seed=None,
        brain="operational: risk halted, link down, control paused; scavenger halted, hunter disabled",
        risk="halted",
        gate="closed",
        phases=(
            phase(state="halted", day=-52.1),
            phase("hunter", "disabled", equity=0, day=0, positions=0, broken="titan_on_bar raised ZeroDivisionError: division by zero"),
        ),
        positions=(position(stop=""), position("ETHUSDT.bybit-linear", "-1.20", -12.4, entry_price="2611.20", mark_price="2621.53", stop="2680.00", target="")),
        feeds=(
            feed(age=0.3),
            feed(SPOT, 60_958.1, 84.0, "no row for 84 s"),
            feed("ETHUSDT.bybit-linear", 2_621.4, 3.2, "the book lacks updates 88121 to 88140"),
        ),
        link=replace(LINK, is_answering=False, is_streaming=False, trouble="no answer to 3 requests", clock_offset_s=-1.2, reconciled_ns=0),
        journal=JournalLine(status="full", last_seq=12_482, durable_seq=10_100),
    )


def starting() -> SessionStatus:
    return calm(
        stage="recovering",
        brain="booting.reconciling",
        risk="",
        gate="closed",
        positions=(),
        orders=(),
        fills=(),
        notes=NOTES[:1],
        feeds=(),
        trades=0,
        wins=0,
        equity=usdt(1_000),
        peak=usdt(1_000),
        drawdown_ppm=0,
        cash=usdt(1_000),
    )


def crowded() -> SessionStatus:
    """Far more than a screen holds."""
    coins = ("BTC", "ETH", "SOL", "XRP", "DOGE", "1000PEPE", "ADA", "LINK", "AVAX", "NEAR", "SUI", "APT")
    held = tuple(position(f"{coin}USDT.bybit-linear", "-12.5" if number % 2 else "0.042", 3.0 - number) for number, coin in enumerate(coins))
    return calm(positions=held, orders=tuple(order(number) for number in range(30)), feeds=tuple(feed(f"{coin}USDT.bybit-linear", 100.0) for coin in coins))


ALL = {
    "calm": calm(),
    "reduced": reduced(),
    "emergency": emergency(),
    "locked": emergency("locked"),
    "troubled": troubled(),
    "starting": starting(),
    "stopping": calm(stage="stopping", gate="closed", brain="stopping"),
    "crowded": crowded(),
}
