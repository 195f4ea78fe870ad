import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from attrs import asdict
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_core.errors import UsageError
from titan_core.model.enums import StreamKind
from titan_core.model.instrument import Instrument
from titan_core.model.units import BPS, MIN, MS, RATE_SCALE, D, H, S
from titan_core.tape.columns import SPECS, Columns
from titan_core.tape.generate import NEW_YEAR_2024, generate
from titan_core.tape.generator.figures import measure_book, measure_pair
from titan_core.tape.tape import StreamKey, build_tape

ROOT = Path(__file__).resolve().parents[2]
THIN = 200_000

Market = tuple[tuple[Instrument, ...], dict[StreamKey, Columns]]


@pytest.fixture(scope="module")
def market() -> Market:
    return generate(1, 1)


@pytest.fixture(scope="module")
def thin() -> Market:
    return generate(2, 5, ticks_per_day=THIN)


@pytest.fixture(scope="module")
def long() -> Market:
    return generate(20, 3, ticks_per_day=THIN)


def digest(raw: Mapping[StreamKey, Columns]) -> str:
    out = hashlib.sha256()
    for key in sorted(raw):
        for name in sorted(raw[key]):
            out.update(f"{key} {name}".encode())
            out.update(raw[key][name].tobytes())
    return out.hexdigest()


# -- figures: (recorded spot, recorded perpetual, lowest and highest accepted of spot, of the perpetual) ------------------------
# The recordings are 346 s of one evening in August 2024 at thirty times the default density. Where that matters (clusters of orders, gaps)
# the accepted range says so by its width; what belongs to the price and to a single order must be near.
RANGES = {
    "trades_per_order": (3.0, 3.9, (2.5, 3.8), (3.3, 5.2)),
    "trades_per_order_max": (735, 348, (250, 2_000), (250, 2_500)),
    "share_single_trade": (0.70, 0.64, (0.62, 0.78), (0.56, 0.74)),
    "trade_fano_10ms": (97, 166, (30, 250), (50, 400)),
    "trade_fano_1s": (196, 388, (100, 500), (150, 900)),
    "order_fano_1s": (13, 26, (4, 30), (4, 40)),
    "side_autocorrelation_1": (0.36, 0.20, (0.25, 0.45), (0.12, 0.30)),
    "side_autocorrelation_20": (0.12, 0.10, (0.06, 0.20), (0.05, 0.16)),
    "order_size_median": (0.0035, 0.030, (0.0028, 0.0044), (0.024, 0.038)),
    "order_size_p99": (1.18, 7.1, (0.7, 1.9), (4.5, 11.0)),
    "hill_exponent": (1.05, 1.05, (0.85, 1.3), (0.85, 1.3)),
    "volume_share_top_1pct": (0.42, 0.48, (0.35, 0.65), (0.38, 0.62)),
    "share_one_tick": (0.993, 0.991, (0.985, 0.998), (0.985, 0.998)),
    "spread_max_ticks": (6_184, 243, (1_000, 25_000), (150, 2_500)),
    "return_sd_bps": (1.30, 1.40, (0.7, 2.0), (0.7, 2.0)),
    "return_kurtosis": (29, 24, (14, 55), (14, 55)),
    "share_zero_seconds": (0.60, 0.46, (0.45, 0.75), (0.38, 0.68)),
    "quote_gap_p50_ms": (1.1, 0.1, (0.5, 30), (0.05, 15)),
}
PAIR_RANGES = {
    "correlation_100ms": (0.73, (0.6, 0.85)),
    "correlation_1s": (0.87, (0.8, 0.93)),
    "basis_p50_bps": (-3.64, (-7.0, 5.0)),
    "basis_sd_bps": (0.57, (0.4, 2.0)),
}


def test_its_figures_lie_near_those_of_the_recorded_market(market: Market) -> None:
    (spot, perp), raw = market
    measured = [asdict(measure_book(i, raw[i.id, StreamKind.QUOTE], raw[i.id, StreamKind.TRADE])) for i in (spot, perp)]
    lines, out = [f"{'figure':<26}{'spot':>10}{'recorded':>10}{'perp':>10}{'recorded':>10}"], []
    for name, (real_spot, real_perp, *accepted) in RANGES.items():
        values = [figures[name] for figures in measured]
        lines.append(f"{name:<26}{values[0]:>10.4g}{real_spot:>10.4g}{values[1]:>10.4g}{real_perp:>10.4g}")
        out += [name for value, (low, high) in zip(values, accepted, strict=True) if not low <= value <= high]
    pair = asdict(measure_pair(spot, perp, raw[spot.id, StreamKind.QUOTE], raw[perp.id, StreamKind.QUOTE]))
    for name, (real, (low, high)) in PAIR_RANGES.items():
        lines.append(f"{name:<26}{pair[name]:>10.4g}{real:>10.4g}")
        out += [name] if not low <= pair[name] <= high else []
    print("\n".join(lines))
    assert not out, "outside the accepted ranges: " + ", ".join(out) + "\n" + "\n".join(lines)
    assert pair["perp_first_100ms"] > pair["spot_first_100ms"], "the perpetual leads"


def test_minutes_have_fat_tails_and_their_volatility_clusters_over_an_hour(long: Market) -> None:
    (_, perp), raw = long
    price = raw[perp.id, StreamKind.MARK]["price"].astype(np.float64)[::60]
    returns = np.diff(np.log(price)) * BPS
    centred = np.abs(returns) - np.abs(returns).mean()

    def autocorrelation(lag: int) -> float:
        return float((centred[lag:] * centred[:-lag]).mean() / (centred**2).mean())

    assert 4 < (returns**4).mean() / (returns**2).mean() ** 2 - 3 < 25
    assert 0.2 < autocorrelation(1) < 0.45
    assert 0.05 < autocorrelation(60) < 0.35


def test_the_day_has_quiet_and_busy_hours(long: Market) -> None:
    (spot, _), raw = long
    hours = np.bincount((raw[spot.id, StreamKind.TRADE]["ts"] // H % 24).astype(np.int64), minlength=24)
    assert hours[13:17].mean() > 1.25 * hours[3:7].mean()


# -- identity -------------------------------------------------------------------------------------------------------------------
def test_one_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    first, again, other = (digest(generate(1, seed, ticks_per_day=THIN)[1]) for seed in (5, 5, 6))
    assert first == again != other


def test_a_longer_market_begins_with_the_shorter_one(thin: Market) -> None:
    _, longer = thin
    _, shorter = generate(1, 5, ticks_per_day=THIN)
    for key, columns in shorter.items():
        for name, column in columns.items():
            assert np.array_equal(column, longer[key][name][: len(column)]), (key, name)
            assert len(longer[key][name]) > len(column)


def test_neither_vector_unit_nor_maths_library_shows_in_the_bytes() -> None:
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    program = (
        "import hashlib; from titan_core.tape.generate import generate; out = hashlib.sha256()\n"
        f"for key, columns in sorted(generate(1, 5, ticks_per_day={THIN})[1].items()):\n"
        "    for name in sorted(columns): out.update(f'{key} {name}'.encode()); out.update(columns[name].tobytes())\n"
        "print(out.hexdigest())"
    )
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "NPY_DISABLE_CPU_FEATURES": " ".join(name for name in __cpu_dispatch__ if __cpu_features__.get(name)),
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
    }
    plain = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert plain.stdout.strip() == digest(generate(1, 5, ticks_per_day=THIN)[1])


def test_density_changes_how_much_is_printed_and_not_where_the_price_goes(market: Market) -> None:
    (_, perp), dense = market
    _, sparse = generate(1, 1, ticks_per_day=400_000)
    assert sum(len(columns["ts"]) for columns in dense.values()) == pytest.approx(1_200_000, rel=0.005)
    assert sum(len(columns["ts"]) for columns in sparse.values()) == pytest.approx(400_000, rel=0.005)
    a, b = (raw[perp.id, StreamKind.MARK]["price"].astype(np.float64) for raw in (dense, sparse))
    assert np.median(np.abs(a / b - 1)) * BPS < 1.0
    assert np.abs(a / b - 1).max() * BPS < 30.0


def test_each_day_starts_at_midnight_where_the_caller_says(thin: Market) -> None:
    _, raw = generate(1, 5, ticks_per_day=THIN, start_ns=NEW_YEAR_2024 + 400 * D)
    for key, columns in raw.items():
        assert NEW_YEAR_2024 + 400 * D <= columns["ts"][0] < columns["ts"][-1] < NEW_YEAR_2024 + 401 * D, key
        rows = len(columns["ts"])
        assert np.array_equal(columns["ts"] - 400 * D, thin[1][key]["ts"][:rows])


# -- laws of the streams --------------------------------------------------------------------------------------------------------
def assert_lawful(instruments: tuple[Instrument, ...], raw: Mapping[StreamKey, Columns]) -> None:
    for (instrument, kind), columns in raw.items():
        where = f"{instrument} {kind}"
        assert set(columns) == {*SPECS[kind].raw, "ts_event"}, where
        assert (np.diff(columns["ts"]) > 0).all(), where
        assert (columns["ts_event"] < columns["ts"]).all() and (np.diff(columns["ts_event"]) >= 0).all(), where
        assert (columns["ts"] - columns["ts_event"] < S).all(), where
    for instrument in instruments:
        quotes, trades = raw[instrument.id, StreamKind.QUOTE], raw[instrument.id, StreamKind.TRADE]
        assert (quotes["bid"] < quotes["ask"]).all() and (quotes["bid"] > 0).all()
        assert (quotes["bid_lots"] >= 1).all() and (quotes["ask_lots"] >= 1).all() and (trades["signed_lots"] != 0).all()
        row = np.searchsorted(quotes["ts"], trades["ts"]) - 1
        assert (row >= 0).all(), "a quote stands before the first trade"
        assert not np.isin(trades["ts"], quotes["ts"]).any()
        bought = trades["signed_lots"] > 0
        assert np.array_equal(trades["price"], np.where(bought, quotes["ask"][row], quotes["bid"][row])), "a trade prints at the best price"
        taken = np.zeros(len(quotes["ts"]), np.int64)
        np.add.at(taken, row, np.abs(trades["signed_lots"]).astype(np.int64))
        assert (taken[row] <= np.where(bought, quotes["ask_lots"][row], quotes["bid_lots"][row])).all(), "no more is taken than stands there"


def test_every_trade_prints_at_the_best_price_and_takes_no_more_than_stands_there(market: Market, thin: Market) -> None:
    assert_lawful(*market)
    assert_lawful(*thin)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**63), ticks=st.integers(THIN, 2 * THIN))
def test_the_laws_hold_for_any_seed_and_density(seed: int, ticks: int) -> None:
    assert_lawful(*generate(1, seed, ticks_per_day=ticks))


def test_the_streams_make_a_tape(thin: Market) -> None:
    tape = build_tape(*thin)
    assert tape.pairs[0].spot == "BTCUSDT.binance-spot" and tape.pairs[0].perp == "BTCUSDT.bybit-linear"
    assert tape.ticks == sum(len(columns["ts"]) for columns in thin[1].values())


def test_an_orders_trades_share_their_venue_time(market: Market) -> None:
    (_, perp), raw = market
    trades = raw[perp.id, StreamKind.TRADE]
    close = np.diff(trades["ts"]) <= 2 * 2_000
    same = np.diff(trades["ts_event"]) == 0
    assert same[close].mean() > 0.99
    assert 0.55 < same.mean() < 0.9


def test_a_move_by_an_order_leaves_the_spread_open_for_a_moment(market: Market) -> None:
    (spot, _), raw = market
    quotes = raw[spot.id, StreamKind.QUOTE]
    spread = quotes["ask"].astype(np.int64) - quotes["bid"]
    opened = np.flatnonzero((spread[:-1] > 1) & (spread[1:] == 1))
    assert len(opened) > 1_000
    assert np.median(np.diff(quotes["ts"])[opened]) < 100 * MS


# -- the perpetual's slow streams -----------------------------------------------------------------------------------------------
def test_funding_settles_three_times_a_day_near_one_basis_point_and_persists(long: Market) -> None:
    (_, perp), raw = long
    funding = raw[perp.id, StreamKind.FUNDING]
    assert np.array_equal(funding["ts_event"], NEW_YEAR_2024 + np.arange(len(funding["ts"])) * 8 * H)
    rate = funding["rate_e8"] * BPS / RATE_SCALE
    assert 0.15 < (rate == 1.0).mean() < 0.7
    assert -1.0 < rate.mean() < 4.0
    assert np.abs(rate).max() < 30
    assert np.corrcoef(rate[1:], rate[:-1])[0, 1] > 0.3


def test_mark_and_index_come_each_second_and_stay_near_their_books(market: Market) -> None:
    (spot, perp), raw = market
    mark = raw[perp.id, StreamKind.MARK]
    assert np.array_equal(mark["ts_event"], NEW_YEAR_2024 + np.arange(86_400) * S)
    for quotes, name, factor in ((raw[perp.id, StreamKind.QUOTE], "price", 1.0), (raw[spot.id, StreamKind.QUOTE], "index", 0.1)):
        row = np.maximum(np.searchsorted(quotes["ts"], mark["ts_event"], side="right") - 1, 0)
        mid = (quotes["bid"][row].astype(np.float64) + quotes["ask"][row]) / 2 * factor
        off = np.abs(mark[name] / mid - 1) * BPS
        assert np.median(off) < 0.6 and off.max() < 40, name


def test_liquidations_repeat_a_taker_order_on_the_side_of_a_hard_move(market: Market) -> None:
    (_, perp), raw = market
    forced, trades = raw[perp.id, StreamKind.LIQUIDATION], raw[perp.id, StreamKind.TRADE]
    mark = raw[perp.id, StreamKind.MARK]["price"].astype(np.float64)
    assert 100 < len(forced["ts"]) < 3_000
    prints = set(zip((trades["ts"] // S).tolist(), trades["price"].tolist(), np.sign(trades["signed_lots"]).tolist(), strict=True))
    seconds = forced["ts_event"] // S
    found = [(int(s), int(p), int(q)) in prints or (int(s) + 1, int(p), int(q)) in prints
             for s, p, q in zip(seconds, forced["price"], np.sign(forced["signed_lots"]), strict=True)]  # fmt: skip
    assert np.mean(found) > 0.98
    at = ((seconds - NEW_YEAR_2024 // S) % 86_400).astype(np.int64)
    move = np.sign(mark[np.minimum(at + 2, 86_399)] - mark[np.maximum(at - 2, 0)])
    assert (move == np.sign(forced["signed_lots"])).mean() > 0.8, "falling prices liquidate longs, whose orders sell"


def test_open_interest_comes_every_five_minutes_and_falls_where_much_is_liquidated() -> None:
    (_, perp), raw = generate(6, 9, ticks_per_day=400_000)
    interest, forced = raw[perp.id, StreamKind.OPEN_INTEREST], raw[perp.id, StreamKind.LIQUIDATION]
    assert np.array_equal(interest["ts_event"], NEW_YEAR_2024 + np.arange(6 * 288) * 5 * MIN)
    lots = interest["lots"].astype(np.float64)
    hourly = np.diff(np.log(lots[::12])) * 100
    assert 0.4 < hourly.std() < 1.5, "per cent an hour; 0.77 was recorded"
    lost = np.bincount(((forced["ts"] - NEW_YEAR_2024) // (5 * MIN)).astype(np.int64), np.abs(forced["signed_lots"]), minlength=6 * 288)[:-1]
    change = np.diff(lots)
    assert change[lost > np.percentile(lost, 97)].mean() < change[lost == 0].mean() - 50_000


# -- the call -------------------------------------------------------------------------------------------------------------------
def test_progress_rises_to_one() -> None:
    seen: list[float] = []
    generate(2, 5, ticks_per_day=THIN, progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) > 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"days": 0, "seed": 1}, "at least 1"),
        ({"days": 1, "seed": -1}, "negative"),
        ({"days": 1, "seed": 1, "start_ns": NEW_YEAR_2024 + S}, "midnight"),
        ({"days": 1, "seed": 1, "ticks_per_day": 1_000}, "200,000"),
        ({"days": 1, "seed": 1, "ticks_per_day": 10**9}, "20,000,000"),
    ],
)
def test_an_impossible_market_is_refused_with_what_is_allowed(arguments: dict[str, int], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        generate(**arguments)  # type: ignore[arg-type]
