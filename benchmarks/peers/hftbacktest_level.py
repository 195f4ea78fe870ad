"""The level rule in hftbacktest: a numba strategy woken by each tick.

Prices are in ticks and sizes in lots, so nothing is lost or gained by converting. A quote becomes rows only for the side that changed (the new level,
and the old one emptied where the price moved), which is the least that its book needs. Order latency is zero both ways.
"""

import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    GTC,
    LOCAL_EVENT,
    MARKET,
    SELL_EVENT,
    TRADE_EVENT,
    BacktestAsset,
    ROIVectorMarketDepthBacktest,
    __version__,
)
from hftbacktest.types import event_dtype
from numba import __version__ as numba_version
from numba import njit
from protocol import Columns, Outcome, Run, serve

FEED, END = 2, 1
NO_LEVEL = 1e12
MARGIN_TICKS = 1_000


@njit
def level_rule(hbt, start_ns, step, period_ns, lots, fill_ts, fills):  # type: ignore[no-untyped-def]
    """Run the rule; write the fills' times, signed lots and prices. Returns the numbers of fires and orders."""
    fires, orders, last = 0, 0, 0.0
    position = 0.0
    upper, lower = NO_LEVEL, -NO_LEVEL
    timer = (start_ns // period_ns + 1) * period_ns
    now = start_ns
    while True:
        woken = hbt.wait_next_feed(False, timer - now)
        signed = 0.0
        if woken == END:
            break
        if woken == FEED:
            now = hbt.current_timestamp
            prints = hbt.last_trades(0)
            if len(prints) == 0:
                continue
            last = prints[-1].px
            hbt.clear_last_trades(0)
            if lower < last < upper:
                continue
            fires += 1
            if position != 0:
                signed = -position
            else:
                signed = -lots if last >= upper else lots
            upper, lower = last + step, last - step
        else:
            now = timer
            timer += period_ns
            signed = -position
            if last > 0:
                upper, lower = last + step, last - step
        if signed == 0:
            continue
        if signed > 0:
            hbt.submit_buy_order(0, orders, last, signed, GTC, MARKET, True)
        else:
            hbt.submit_sell_order(0, orders, last, -signed, GTC, MARKET, True)
        order = hbt.orders(0).get(orders)
        fill_ts[orders], fills[orders, 0], fills[orders, 1] = order.exch_timestamp, order.exec_qty if signed > 0 else -order.exec_qty, order.exec_price
        hbt.clear_inactive_orders(0)
        position += signed
        orders += 1
    return fires, orders


def depth_rows(columns: Columns, side: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (quote number, step within the quote, price, lots) of the book rows of one side."""
    price, lots = columns[f"quote_{side}"], columns[f"quote_{side}_lots"]
    moved = np.r_[True, price[1:] != price[:-1]]
    changed = np.flatnonzero(moved | np.r_[True, lots[1:] != lots[:-1]])
    emptied = np.flatnonzero(moved)[1:]
    number = np.r_[changed, emptied]
    step = np.r_[np.zeros(len(changed), np.int64), np.ones(len(emptied), np.int64)]
    return number, step, np.r_[price[changed], price[emptied - 1]], np.r_[lots[changed], np.zeros(len(emptied), lots.dtype)]


def events(columns: Columns) -> np.ndarray:
    """Convert the columns to hftbacktest's events. Where a book moves up its ask is moved first, else its bid, so that it never crosses."""
    bid = columns["quote_bid"]
    rising = np.r_[False, bid[1:] > bid[:-1]]
    flags = np.uint64(EXCH_EVENT | LOCAL_EVENT)
    parts = []
    for side, flag in (("bid", BUY_EVENT), ("ask", SELL_EVENT)):
        number, step, price, lots = depth_rows(columns, side)
        second = rising[number] if side == "bid" else ~rising[number]
        parts.append((columns["quote_ts"][number], second * 2 + step, price, lots, np.full(len(number), flags | np.uint64(DEPTH_EVENT | flag))))
    signed = columns["trade_signed_lots"]
    kinds = np.where(signed > 0, np.uint64(TRADE_EVENT | BUY_EVENT), np.uint64(TRADE_EVENT | SELL_EVENT)) | flags
    parts.append((columns["trade_ts"], np.zeros(len(signed), np.int64), columns["trade_price"], np.abs(signed), kinds))
    ts, step, price, lots, kinds = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((step, ts))
    out = np.zeros(len(ts), event_dtype)
    out["ev"], out["exch_ts"], out["local_ts"], out["px"], out["qty"] = kinds[order], ts[order], ts[order], price[order], lots[order]
    return out


def prepare(columns: Columns, rule: dict[str, int]):  # type: ignore[no-untyped-def]
    """Convert once; each run gets a new asset and book over the same events."""
    data = events(columns)
    first = int(data["exch_ts"][0])
    low, high = int(columns["quote_bid"].min()) - MARGIN_TICKS, int(columns["quote_ask"].max()) + MARGIN_TICKS
    capacity = len(columns["trade_ts"])

    def fresh() -> Run:
        asset = (
            BacktestAsset()
            .data(data)
            .linear_asset(1.0)
            .constant_order_latency(0, 0)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(0.0002, 0.00055)
            .tick_size(1.0)
            .lot_size(1.0)
            .roi_lb(float(low))
            .roi_ub(float(high))
            .last_trades_capacity(64)
        )
        hbt = ROIVectorMarketDepthBacktest([asset])
        fill_ts, fills = np.zeros(capacity, np.int64), np.zeros((capacity, 2))

        def run() -> Outcome:
            fires, orders = level_rule(hbt, first, float(rule["step_ticks"]), rule["period_ns"], float(rule["lots"]), fill_ts, fills)
            hbt.close()
            done = zip(fill_ts[:orders].tolist(), fills[:orders].tolist(), strict=True)
            return {"fires": fires, "orders": orders, "fills": [[ts, int(signed), price] for ts, (signed, price) in done]}

        return run

    return fresh


if __name__ == "__main__":
    serve(prepare, {"hftbacktest": __version__, "numba": numba_version, "numpy": np.__version__})
