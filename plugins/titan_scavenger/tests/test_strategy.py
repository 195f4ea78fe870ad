"""Traps spring, spot decides, one trade at a time is looked after: on hand-made markets, by the reference engine."""

import attrs
import pytest

from titan_core import MIN, MONEY_PER_USDT, D, S
from titan_scavenger.config import Execution, Mode, ScavengerConfig
from titan_scavenger.plan import Skip
from titan_scavenger.strategy import Scavenger

EAGER = ScavengerConfig(rearm_s=60, warmup_bars=0)
FADE = attrs.evolve(EAGER, mode=Mode.FADE)
STRONG, AGAINST = 2_000, -2_000
"""Spot lots a second: the quiet market trades 10, so either is far beyond half of the usual minute."""


def sides(outcome):
    return [entry[4] > 0 for entry in outcome.entries]


class TestFollow:
    @pytest.mark.parametrize("up", [True, False])
    def test_a_break_that_spot_confirms_is_followed(self, scenes, up):
        outcome = scenes.run(scenes.break_out(flow=STRONG if up else AGAINST, up=up, then=[200] * 60))
        assert sides(outcome) == [up]
        assert outcome.tally["entered"] == 1 and outcome.tally[Skip.UNCONFIRMED] == 0
        _, _, _, _, _, kind, _, _, stop, target, tag = outcome.entries[0]
        entry = outcome.fills[0].price
        assert kind == "market" and tag.startswith("follow day")
        assert (stop < 600_697 and entry < target) if up else (stop > 600_703 and entry > target)

    @pytest.mark.parametrize("flow", [0, 1, AGAINST])
    def test_a_break_that_spot_does_not_confirm_is_left_alone(self, scenes, flow):
        outcome = scenes.run(scenes.break_out(flow=flow, then=[200] * 60))
        assert outcome.entries == [] and outcome.tally[Skip.UNCONFIRMED] >= 1

    def test_the_flow_that_confirms_is_a_share_of_the_usual_volume(self, scenes):
        # usual: 840 prints of 10 lots since the start, over an hour's baseline: 140 lots a minute, of which half are needed when the trap springs
        fired = [scenes.run(scenes.break_out(flow=flow, lead=841)).entries != [] for flow in (8, 12, 20)]
        assert fired == [False, True, True]
        # seven seconds of 12 lots, less the 10 by which the quiet minute before ended short, are 74
        exact = [scenes.run(scenes.break_out(flow=12, lead=841), attrs.evolve(EAGER, flow_share=needed / 140 + 1e-4)).entries != [] for needed in (74, 75)]
        assert exact == [True, False]

    def test_the_stop_lies_behind_the_whole_level(self, scenes):
        close = attrs.evolve(EAGER, min_stop_bps=1.0, stop_atr=0.0)
        up, down = (scenes.run(scenes.break_out(flow=STRONG if up else AGAINST, up=up, then=[200] * 9), close).entries[0] for up in (True, False))
        assert (up[8], down[8]) == (600_697 - 120, 600_703 + 120)

    def test_fade_alone_does_not_follow(self, scenes):
        outcome = scenes.run(scenes.break_out(flow=STRONG, then=[200] * 60), FADE)
        assert outcome.entries == [] and outcome.tally[Skip.CONFIRMED] >= 1

    def test_a_jump_far_beyond_the_trap_is_not_chased(self, scenes):
        quiet = [600_700 + (i % 7 - 3) for i in range(900)]
        flow = [10 if i % 2 else -10 for i in range(895)] + [STRONG] * 65
        outcome = scenes.run(scenes.tape(quiet + [601_500] * 60, flow=flow))
        assert outcome.entries == [] and outcome.tally[Skip.CHASED] == 1


class TestFade:
    def test_a_sweep_that_spot_does_not_confirm_is_faded_once_the_price_is_back(self, scenes):
        outcome = scenes.run(scenes.break_out(flow=0, then=[150, 100, 0, -100, -150, -150]), FADE)
        assert sides(outcome) == [False]
        _, sent_ns, _, _, _, _, _, _, stop, _, tag = outcome.entries[0]
        assert tag.startswith("fade day") and stop > 600_900  # beyond the sweep's extreme
        assert sent_ns > scenes.START + 912 * S

    def test_it_is_not_faded_before_the_price_is_back(self, scenes):
        assert scenes.run(scenes.break_out(flow=0, then=[200] * 30), FADE).entries == []

    def test_it_is_not_faded_when_it_comes_back_too_late(self, scenes):
        assert scenes.run(scenes.break_out(flow=0, then=[200] * 200 + [-150] * 30), FADE).entries == []

    def test_it_is_not_faded_when_spot_has_confirmed_by_then(self, scenes):
        quiet = [600_700 + (i % 7 - 3) for i in range(900)]
        path = quiet + [600_700 + 20 * i for i in range(10)] + [600_890] * 20 + [600_560] * 20
        flow = [10 if i % 2 else -10 for i in range(910)] + [STRONG] * 40
        outcome = scenes.run(scenes.tape(path, flow=flow), FADE)
        assert outcome.entries == [] and outcome.tally[Skip.CONFIRMED] == 1

    def test_both_follows_what_is_confirmed_and_fades_what_is_not(self, scenes):
        both = attrs.evolve(EAGER, mode=Mode.BOTH)
        assert sides(scenes.run(scenes.break_out(flow=STRONG, then=[200] * 9), both)) == [True]
        assert sides(scenes.run(scenes.break_out(flow=0, then=[150, 0, -150, -150]), both)) == [False]

    def test_a_trap_is_set_again_when_the_price_is_back(self, scenes):
        calm = attrs.evolve(EAGER, rearm_s=86_400)  # one set of levels: set at the first event of the second minute
        swings = [200, 0, -130, 200, 0, -130, 200]
        quick = attrs.evolve(EAGER, rearm_s=900)
        assert scenes.run(scenes.break_out(flow=0, then=swings), calm).tally["sprung"] == 0
        outcome = scenes.run(scenes.break_out(flow=0, then=swings, lead=901), quick)
        assert outcome.tally["sprung"] >= 3


class TestSanity:
    def entered(self, scenes, config=EAGER, **market):
        quiet = [600_700 + (i % 7 - 3) for i in range(900)]
        path = quiet + [600_720 + 20 * i for i in range(10)] + [600_900] * 30
        flow = [10 if i % 2 else -10 for i in range(890)] + [200] * 50
        known = {"flow": flow} | market
        outcome = scenes.run(scenes.tape(path, **known), config)
        return outcome.tally["entered"], outcome.tally

    def test_the_scene_itself_trades(self, scenes):
        assert self.entered(scenes)[0] == 1

    def test_not_on_a_wide_spread(self, scenes):
        assert self.entered(scenes, spread=120)[0] == 1  # 2 bps
        entered, tally = self.entered(scenes, spread=125)
        assert entered == 0 and tally[Skip.WIDE_SPREAD] >= 1

    def test_not_when_spot_is_far_from_the_perpetual(self, scenes):
        for spot in (5_970_000, 6_045_000):
            entered, tally = self.entered(scenes, spot=[spot] * 940)
            assert entered == 0 and tally[Skip.WIDE_BASIS] >= 1

    def test_not_when_spot_has_gone_silent(self, scenes):
        flow = [10 if i % 2 else -10 for i in range(870)] + [200] * 70
        assert self.entered(scenes, flow=flow)[0] == 1
        entered, tally = self.entered(scenes, flow=flow, quiet_spot=range(885, 940))
        assert entered == 0 and tally[Skip.STALE_SPOT] >= 1

    def test_not_after_a_gap_in_the_data(self, scenes):
        assert self.entered(scenes, gaps=[100])[0] == 1
        assert self.entered(scenes, gaps=[890])[0] == 0
        assert self.entered(scenes, attrs.evolve(EAGER, gap_pause_s=5), gaps=[100, 890])[0] == 1


class TestTrade:
    def test_the_target_wins_and_the_stop_loses(self, scenes):
        won = scenes.run(scenes.break_out(flow=STRONG, then=[200 + 100 * i for i in range(60)]))
        lost = scenes.run(scenes.break_out(flow=STRONG, then=[200 - 50 * i for i in range(60)]))
        assert (won.tally["won"], won.tally["lost"], won.fills[-1].tag) == (1, 0, "target")
        assert (lost.tally["won"], lost.tally["lost"], lost.fills[-1].tag) == (0, 1, "stop")
        assert won.engine.account.cash > scenes.CASH > lost.engine.account.cash

    def test_the_loss_at_the_stop_is_the_risk_asked_for(self, scenes):
        outcome = scenes.run(scenes.break_out(flow=STRONG, then=[200 - 10 * i for i in range(200)]))
        lost = scenes.CASH - outcome.engine.account.cash
        assert 0.9 * 60 / 10_000 * scenes.CASH < lost < 1.1 * 60 / 10_000 * scenes.CASH

    def test_the_stop_moves_to_cover_the_costs_after_the_first_gain(self, scenes):
        # 700 ticks of gain are more than the stop distance, and then the price comes back to where it came from
        path = [200 + 50 * i for i in range(21)] + [1_200 - 50 * i for i in range(40)]
        outcome = scenes.run(scenes.break_out(flow=STRONG, then=path))
        assert outcome.fills[-1].tag == "stop" and outcome.tally["won"] == 1
        kept = scenes.run(scenes.break_out(flow=STRONG, then=path), attrs.evolve(EAGER, breakeven_r=0.0))
        assert kept.engine.account.cash < scenes.CASH < outcome.engine.account.cash

    def test_a_trade_that_goes_nowhere_is_closed(self, scenes):
        outcome = scenes.run(scenes.break_out(flow=STRONG, then=[200] * 400), attrs.evolve(EAGER, max_hold_s=300))
        entry, leave = outcome.fills
        assert leave.tag == "time" and 300 * S <= leave.ts_ns - entry.ts_ns < 301 * S

    def test_an_aggressive_limit_fills_at_once_or_is_gone(self, scenes):
        limit = attrs.evolve(EAGER, execution=Execution.LIMIT)
        outcome = scenes.run(scenes.break_out(flow=STRONG, then=[200] * 30), limit)
        assert outcome.entries[0][5:7] == ("limit", outcome.entries[0][6]) and outcome.tally["entered"] == 1
        missed = scenes.run(scenes.break_out(flow=STRONG, then=[200] * 30), attrs.evolve(limit, limit_ticks=0), latency_ns=3 * S)
        assert missed.tally["unfilled"] >= 1 and missed.fills == []

    def test_after_an_entry_that_found_nothing_the_next_trap_is_traded(self, scenes):
        outcome = scenes.run(scenes.busy, attrs.evolve(EAGER, execution=Execution.LIMIT, limit_ticks=0), latency_ns=3 * S)
        assert outcome.tally["unfilled"] >= 2 and outcome.tally["lost"] == 0

    def test_an_order_in_flight_counts_as_a_trade(self, scenes):
        slow = scenes.run(scenes.busy, attrs.evolve(EAGER, mode=Mode.BOTH), latency_ns=600 * S)
        sent = [entry[1] for entry in slow.entries]
        assert len(sent) >= 2 and all(after - before >= 600 * S for before, after in zip(sent, sent[1:], strict=False))

    def test_an_exit_that_is_refused_or_rejected_is_sent_again(self, scenes):
        stuck = scenes.run(scenes.break_out(flow=STRONG, then=[200] * 400), attrs.evolve(EAGER, max_hold_s=100), refused_exits=3)
        entry, leave = stuck.fills
        assert leave.tag == "time" and 103 * S <= leave.ts_ns - entry.ts_ns < 104 * S
        rejected = scenes.run(scenes.break_out(flow=STRONG, then=[200] * 400), attrs.evolve(EAGER, max_hold_s=100), rejected_exits=2, latency_ns=S)
        entry, leave = rejected.fills
        assert leave.tag == "time" and sum(e[0] == "closed" and e[3] == "rejected" for e in rejected.engine.record.entries) == 2
        assert 103 * S <= leave.ts_ns - entry.ts_ns < 106 * S

    def test_a_position_from_before_the_start_is_only_closed(self, scenes):
        class Restarted(Scavenger):
            def on_start(self, market):
                market.after(S, self.hold)

            def hold(self, market, _):
                market.enter(market.perp, 5, stop=500_000, tag="before")
                market.after(S, lambda market, _: Scavenger.on_start(self, market))

        outcome = scenes.run(scenes.break_out(flow=STRONG, then=[200] * 60), attrs.evolve(EAGER, max_hold_s=930), made=Restarted)
        assert [fill.tag for fill in outcome.fills] == ["before", "time"]
        assert outcome.tally[Skip.HOLDING] >= 1 and outcome.tally["entered"] == 0

    def test_a_refusal_is_a_value_and_pauses(self, scenes):
        minutes = (scenes.busy.last_ns - scenes.busy.first_ns) // MIN
        outcome = scenes.run(scenes.busy, refusing=True)
        assert outcome.fills == [] and 2 <= outcome.tally[Skip.REFUSED] <= minutes // 5 + 1
        eager = scenes.run(scenes.busy, attrs.evolve(EAGER, refusal_pause_s=0), refusing=True)
        assert eager.tally[Skip.REFUSED] > minutes // 5 + 1


class TestHabits:
    def test_never_two_positions_at_once(self, scenes):
        outcome = scenes.run(scenes.busy, attrs.evolve(EAGER, mode=Mode.BOTH, cooldown_s=0, loss_cooldown_s=0, max_trades_per_day=1_000))
        position, opened = 0, 0
        for fill in outcome.fills:
            before, position = position, position + fill.signed_lots
            opened += before == 0
            assert before == 0 or abs(position) < abs(before), "a fill increased an open position"
        assert opened == len(outcome.entries) - sum(entry[10] == "time" for entry in outcome.entries) >= 10

    def test_it_rests_after_a_trade_and_longer_after_a_loss(self, scenes):
        outcome = scenes.run(scenes.busy, attrs.evolve(EAGER, cooldown_s=240, loss_cooldown_s=600, max_trades_per_day=1_000))
        position, closed_ns, cash, won, pauses = 0, 0, scenes.CASH, False, {True: [], False: []}
        for fill, cash_after in zip(outcome.fills, outcome.engine.record.cash_after, strict=True):
            if position == 0 and closed_ns:
                pauses[won].append(fill.ts_ns - closed_ns)
            position += fill.signed_lots
            if position == 0:
                closed_ns, won, cash = fill.ts_ns, cash_after > cash, cash_after
        assert pauses[True] and 240 * S <= min(pauses[True]) < 600 * S
        assert pauses[False] and min(pauses[False]) >= 600 * S

    def test_it_stops_at_the_number_of_trades_a_day(self, scenes):
        free = scenes.run(scenes.busy, attrs.evolve(EAGER, cooldown_s=0, loss_cooldown_s=0, max_trades_per_day=1_000))
        held = scenes.run(scenes.busy, attrs.evolve(EAGER, cooldown_s=0, loss_cooldown_s=0, max_trades_per_day=3))
        assert free.tally["entered"] > 3 == held.tally["entered"]

    def test_the_number_starts_anew_at_midnight_and_the_day_is_noted(self, scenes):
        late = scenes.shifted(scenes.busy, D - 80 * MIN)
        outcome = scenes.run(late, attrs.evolve(EAGER, cooldown_s=0, loss_cooldown_s=0, max_trades_per_day=3))
        entered = [entry[1] for entry in outcome.entries]
        midnight = scenes.START + D
        assert sum(ts < midnight for ts in entered) == 3 == sum(ts >= midnight for ts in entered)
        assert outcome.tally["entered"] == 3
        assert len([note for note in outcome.notes if note.startswith("day: ") and "entered 3" in note]) == 1

    def test_the_budget_caps_the_size(self, scenes):
        from_budget = type(scenes.run(scenes.busy).governor.budget(None, None))
        outcome = scenes.run(scenes.busy, allowance=from_budget(scenes.CASH, 300 * MONEY_PER_USDT, scenes.CASH))
        assert outcome.entries and all(abs(entry[4]) * 600_000 * 10_000 < 310 * MONEY_PER_USDT for entry in outcome.entries)


class TestWhatTheRunOffers:
    def test_bars_are_validated_by_price_and_it_says_so_once(self, scenes):
        perp = [600_700 + (i % 7 - 3) for i in range(900)] + [600_720 + 20 * i for i in range(10)] + [600_900] * 60
        along = [price * 10 for price in perp]
        behind = [price * 10 if price < 600_710 else 6_007_000 for price in perp]
        confirmed = scenes.run(scenes.tape(perp, spot=along, bars_ns=MIN))
        assert confirmed.tally["entered"] == 1
        said = "BTCUSDT.binance-spot carries no order flow: breaks are validated by its price instead"
        assert [note for note in confirmed.notes if "by its price" in note] == [said]
        assert scenes.run(scenes.tape(perp, spot=behind, bars_ns=MIN)).entries == []

    def test_without_spot_it_does_not_trade_and_says_why(self, scenes):
        outcome = scenes.run(scenes.without_spot(scenes.break_out(flow=STRONG)))
        assert outcome.entries == [] and outcome.engine.fires == 0
        assert outcome.notes == ["idle: this run has no pair of a spot instrument and a perpetual and a break cannot be validated without spot"]

    def test_a_coin_that_the_run_lacks(self, scenes):
        outcome = scenes.run(scenes.break_out(flow=STRONG), attrs.evolve(EAGER, coin="eth"))
        assert outcome.notes == ["idle: this run has no pair of a spot instrument and a perpetual of eth and a break cannot be validated without spot"]
        assert scenes.run(scenes.break_out(flow=STRONG), attrs.evolve(EAGER, coin="btc")).entries != []

    def test_bars_too_long_for_its_levels(self, scenes):
        outcome = scenes.run(scenes.tape([600_700] * 100, bars_ns=60 * MIN))
        assert len(outcome.notes) == 1 and outcome.notes[0].startswith("idle: BTCUSDT.bybit-linear was imported from bars of 3600 s")

    def test_no_trap_before_the_warm_up(self, scenes):
        assert scenes.run(scenes.break_out(flow=STRONG, then=[200] * 30), attrs.evolve(EAGER, warmup_bars=2)).tally["sprung"] == 0
