import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from titan_core.errors import TapeError
from titan_core.model.enums import StreamKind
from titan_core.model.instrument import Instrument
from titan_core.model.units import MS, S
from titan_core.tape.columns import Columns
from titan_core.tape.generator.figures import BookFigures, as_orders, autocorrelation, fano, kurtosis, measure_book, measure_pair
from titan_core.tape.generator.profile import bitcoin

RECORDINGS = Path(__file__).resolve().parents[4] / "shared" / "market" / "raw_ws"
PROFILE = bitcoin()
SPOT, PERP = PROFILE.spot.instrument, PROFILE.perp.instrument

Recording = dict[StreamKind, Columns]


def recorded(name: str, instrument: Instrument) -> Recording:
    path = RECORDINGS / name
    if not path.exists():
        pytest.skip(f"{path} is absent: the recordings are not part of the repository")
    tick, lot = float(instrument.tick_size), float(instrument.lot_size)
    quotes: list[tuple[int, ...]] = []
    trades: list[tuple[int, ...]] = []
    with gzip.open(path) as lines:
        for line in lines:
            ts, _, text = line.partition(b" ")
            message = json.loads(text)
            d = message.get("data", {})
            if str(message.get("stream", "")).endswith("bookTicker"):
                quotes.append((int(ts), round(float(d["b"]) / tick), round(float(d["a"]) / tick)))
            elif str(message.get("stream", "")).endswith("@trade"):
                trades.append((int(ts), round(float(d["q"]) / lot) * (-1 if d["m"] else 1), d["T"] * MS))
    q, t = np.array(quotes, np.int64).T, np.array(trades, np.int64).T
    return {StreamKind.QUOTE: {"ts": q[0], "bid": q[1], "ask": q[2]}, StreamKind.TRADE: {"ts": t[0], "signed_lots": t[1], "ts_event": t[2]}}


@pytest.fixture(scope="module")
def spot() -> Recording:
    return recorded("binance_spot_btcusdt_20240808.gz", SPOT)


@pytest.fixture(scope="module")
def perp() -> Recording:
    return recorded("binance_usdm_btcusdt_20240808.gz", PERP)


def test_the_recorded_spot_market_has_its_published_figures(spot: Recording) -> None:
    f = measure_book(SPOT, spot[StreamKind.QUOTE], spot[StreamKind.TRADE])
    near(
        f, quotes_per_s=81, trades_per_s=28, orders_per_s=9.4, trades_per_order=3.0, order_fano_1s=13, side_autocorrelation_1=0.36, side_autocorrelation_20=0.12
    )
    near(f, order_size_median=0.0035, order_size_p99=1.18, hill_exponent=1.05, volume_share_top_1pct=0.42, share_one_tick=0.993)
    near(f, return_sd_bps=1.30, return_kurtosis=29, share_zero_seconds=0.60)
    assert (f.trades_per_order_max, f.spread_max_ticks) == (735, 6184)


def test_the_recorded_perpetual_has_its_published_figures(perp: Recording) -> None:
    f = measure_book(PERP, perp[StreamKind.QUOTE], perp[StreamKind.TRADE])
    near(
        f,
        quotes_per_s=192,
        trades_per_s=62,
        orders_per_s=15.8,
        trades_per_order=3.9,
        order_fano_1s=26,
        side_autocorrelation_1=0.20,
        side_autocorrelation_20=0.10,
    )
    near(f, order_size_median=0.030, order_size_p99=7.1, hill_exponent=1.05, volume_share_top_1pct=0.48, share_one_tick=0.991)
    near(f, return_sd_bps=1.40, return_kurtosis=24, share_zero_seconds=0.46)
    assert (f.trades_per_order_max, f.spread_max_ticks) == (348, 243)


def test_the_recorded_pair_has_its_published_basis_and_correlation(spot: Recording, perp: Recording) -> None:
    f = measure_pair(SPOT, PERP, spot[StreamKind.QUOTE], perp[StreamKind.QUOTE])
    assert (f.correlation_100ms, f.correlation_1s) == (pytest.approx(0.73, abs=0.02), pytest.approx(0.87, abs=0.02))
    assert (f.basis_p1_bps, f.basis_p50_bps, f.basis_p99_bps) == (pytest.approx(-5.0, abs=0.1), pytest.approx(-3.64, abs=0.05), pytest.approx(-2.3, abs=0.1))


def near(figures: BookFigures, **published: float) -> None:
    for name, value in published.items():
        assert getattr(figures, name) == pytest.approx(value, rel=0.07), name


def test_an_order_is_a_run_of_one_side_and_one_venue_millisecond() -> None:
    trades = {
        "ts": np.array([10, 11, 12, 13, 14, 15], np.int64),
        "signed_lots": np.array([5, 1, -2, -2, 3, 4], np.int32),
        "ts_event": np.array([1, 1, 1, 2, 2, 2], np.int64) * MS,
    }
    orders = as_orders(trades)
    assert orders.ts.tolist() == [10, 12, 13, 14]
    assert orders.side.tolist() == [1, -1, -1, 1]
    assert orders.lots.tolist() == [6, 2, 2, 7]
    assert orders.trades.tolist() == [2, 1, 1, 2]


def test_trades_without_venue_time_cannot_be_grouped() -> None:
    with pytest.raises(TapeError, match="ts_event"):
        as_orders({"ts": np.arange(3), "signed_lots": np.ones(3, np.int32)})


def test_a_poisson_process_has_a_fano_factor_of_one_and_pairs_have_two() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    ts = np.sort(rng.integers(0, 2_000 * S, 40_000))
    assert fano(ts, 0, 2_000 * S, S) == pytest.approx(1.0, abs=0.12)
    assert fano(np.repeat(ts, 2), 0, 2_000 * S, S) == pytest.approx(2.0, abs=0.24)


def test_moments_of_known_numbers() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    assert kurtosis(rng.standard_normal(100_000)) == pytest.approx(3.0, abs=0.1)
    assert kurtosis(np.array([-1.0, 1.0])) == 1.0
    assert autocorrelation(np.array([1.0, -1.0] * 50), 1) == pytest.approx(-1.0)


def test_too_short_a_stream_is_not_measured() -> None:
    short = {"ts": np.arange(10), "bid": np.arange(10), "ask": np.arange(10), "signed_lots": np.arange(10)}
    with pytest.raises(TapeError, match="10 quotes"):
        measure_book(SPOT, short, short)
