"""The mutants: one small plausible defect each, as (name, file, text that occurs exactly once, text that replaces it)."""

from attrs import frozen


@frozen
class Mutant:
    """One defect in one file of titan_core."""

    name: str
    file: str
    old: str
    new: str


_SCAN, _BOUNDS, _LEVELS = "engine/scan.py", "engine/bounds.py", "engine/levels.py"
_REPLAY, _BARS, _INDEX = "engine/replay.py", "engine/bars.py", "tape/index.py"
_CORE, _MATCHING, _DESK = "engine/core.py", "engine/matching.py", "engine/desk.py"
_VENUE = "engine/venue.py"
_LIVE, _NEAREST, _HISTORY = "engine/live.py", "engine/nearest.py", "engine/history.py"
_HANDLES, _PREDICATES = "engine/handles.py", "engine/predicates.py"
_GOVERNOR, _WATCH, _EXPOSURE, _CLOSING = "engine/governor.py", "engine/watch.py", "engine/exposure.py", "engine/closing.py"
_PAIRING = "engine/pairing.py"

MUTANTS = tuple(
    Mutant(*row)
    for row in (
        # -- searches and look-ups over columns -----------------------------------------------------------------------
        ("time: an event at the moment itself is not seen", _SCAN, "if ts[middle] <= t:", "if ts[middle] < t:"),
        ("time: the bucket ends one early", _SCAN, "hi = int64(index[bucket + 1])", "hi = int64(index[bucket])"),
        ("time: the first bucket is taken for the time before", _SCAN, "if bucket < 0:", "if bucket <= 0:"),
        ("time: the last bucket is taken for the time after", _SCAN, "if bucket > d[BUCKETS]:", "if bucket > d[BUCKETS] - 2:"),
        ("level above: touching is not reaching", _SCAN, "if v[i] >= level:", "if v[i] > level:"),
        ("level below: touching is not reaching", _SCAN, "if v[i] <= level:", "if v[i] < level:"),
        ("level above: a block that only touches is passed over", _SCAN, "if zone[i >> 6] < level:", "if zone[i >> 6] <= level:"),
        ("level below: a block that only touches is passed over", _SCAN, "if zone[i >> 6] > level:", "if zone[i >> 6] >= level:"),
        ("level above: the zone index of 4,096 rows is off by one", _SCAN, "if zone[n1 + (i >> 12)] < level:", "if zone[n1 + (i >> 12) - 1] < level:"),
        ("level below: the zone index of 4,096 rows is off by one", _SCAN, "if zone[n1 + (i >> 12)] > level:", "if zone[n1 + (i >> 12) - 1] > level:"),
        (
            "level above: the middle block is a row too long",
            _SCAN,
            "if zone[n1 + (i >> 12)] < level:\n                    i += 4096",
            "if zone[n1 + (i >> 12)] < level:\n                    i += 4097",
        ),
        (
            "level below: the largest block is a row too long",
            _SCAN,
            "zone[n1 + n2 + (i >> 18)] > level:\n                    i += 262144",
            "zone[n1 + n2 + (i >> 18)] > level:\n                    i += 262145",
        ),
        (
            "level above: the largest blocks are looked up among the middle ones",
            _SCAN,
            "zone[n1 + n2 + (i >> 18)] < level:",
            "zone[n1 + (i >> 18)] < level:",
        ),
        (
            "range high: a block that reaches beyond the range counts whole",
            _SCAN,
            "elif i & 63 == 0 and i + 64 <= end:\n"
            "            x = zone[i >> 6]\n"
            "            i += 64\n"
            "        else:\n"
            "            x = v[i]\n"
            "            i += 1\n"
            "        if x > best:",
            "elif i & 63 == 0 and i + 1 <= end:\n"
            "            x = zone[i >> 6]\n"
            "            i += 64\n"
            "        else:\n"
            "            x = v[i]\n"
            "            i += 1\n"
            "        if x > best:",
        ),
        (
            "range low: a row after each block is passed over",
            _SCAN,
            "            i += 64\n        else:\n            x = v[i]\n            i += 1\n        if x < best:",
            "            i += 65\n        else:\n            x = v[i]\n            i += 1\n        if x < best:",
        ),
        ("window: closed at its start", _SCAN, "start = pos_right(d, t_from)", "start = pos_right(d, t_from - 1)"),
        ("window: begins a nanosecond late", _SCAN, "start = pos_right(d, t_from)", "start = pos_right(d, t_from + 1)"),
        ("window: looks ahead by a row", _SCAN, "return sums[pos] - sums[start]", "return sums[min(pos + 1, d[ROWS])] - sums[start]"),
        ("window: the newest row is missing", _SCAN, "return sums[pos] - sums[start]", "return sums[pos - 1] - sums[start]"),
        ("footprint: open at its low price", _SCAN, "if low <= v[i] <= high:", "if low < v[i] <= high:"),
        ("footprint: open at its high price", _SCAN, "if low <= v[i] <= high:", "if low <= v[i] < high:"),
        ("footprint: a block that only touches is passed over", _SCAN, "(top[i >> 6] < low or", "(top[i >> 6] <= low or"),
        # -- resting orders, trails, flow -----------------------------------------------------------------------------
        ("queue: one lot shorter", _SCAN, "if size > queue:", "if size >= queue:"),
        ("queue: one lot longer", _SCAN, "if size > queue:", "if size > queue + 1:"),
        ("queue: a print eats one lot more", _SCAN, "queue -= size", "queue -= size + 1"),
        ("queue: what ate it fills us too", _SCAN, "return i, min(size - queue, leaves), int64(0)", "return i, min(size, leaves), int64(0)"),
        ("queue: takers of our own side fill us", _SCAN, "if (side > 0 and signed < 0) or (side < 0 and signed > 0):", "if signed != 0:"),
        ("resting order: a print beyond it has to eat the queue", _SCAN, "if v[i] != limit:", "if False:"),
        ("trail: reaching the distance is not enough to fall", _SCAN, "elif x <= peak - distance:", "elif x < peak - distance:"),
        ("trail: reaching the distance is not enough to rise", _SCAN, "elif x >= peak + distance:", "elif x > peak + distance:"),
        ("trail: a block that just reaches the distance is passed over", _SCAN, "if reached - distance < lo:", "if reached - distance <= lo:"),
        ("trail: a block that ends later counts whole", _SCAN, "if i + size > end:", "if i > end:"),
        ("trail: the zone index is off by one", _SCAN, "k = n1 + (i >> 12)", "k = n1 + (i >> 12) + 1"),
        (
            "trail: the peak of a block passed over is forgotten",
            _SCAN,
            "                    if reached - distance < lo:\n                        peak = reached",
            "                    if reached - distance < lo:\n                        peak = peak",
        ),
        ("flow: closed at the start of its window", _SCAN, "while ts[j] <= t:", "while ts[j] < t:"),
        ("flow: touching is not reaching", _SCAN, "if total >= level:", "if total > level:"),
        ("flow: the print itself does not count", _SCAN, "total = sums[i + 1] - sums[j]", "total = sums[i] - sums[j]"),
        ("flow: what came before the search is forgotten", _SCAN, "j = pos_right(d, ts[start] - window)", "j = pos_right(d, ts[start] - 1)"),
        # -- bounds ---------------------------------------------------------------------------------------------------
        ("draw-down: exactly the share counts as more than it", _BOUNDS, "bps // 10_000) - strict", "bps // 10_000) - 0 * strict"),
        ("draw-down: the share is rounded up", _BOUNDS, "peak % 10_000 * bps // 10_000)", "(peak % 10_000 * bps + 9_999) // 10_000)"),
        ("bound: touching the floor is not reaching it", _BOUNDS, "if total <= low or total >= high", "if total < low or total >= high"),
        ("bound: touching the ceiling is not reaching it", _BOUNDS, "if total <= low or total >= high", "if total <= low or total > high"),
        ("bound: a stretch that only touches the floor is safe", _BOUNDS, "if floor <= low or ceiling >= high:", "if floor < low or ceiling >= high:"),
        ("bound: a stretch that only touches the ceiling is safe", _BOUNDS, "if floor <= low or ceiling >= high:", "if floor <= low or ceiling > high:"),
        ("bound: a short position is taken for a long one", _BOUNDS, "if weight >= 0:", "if weight != 0:"),
        (
            "bound: the peak is raised after the comparison",
            _BOUNDS,
            "            if total > peak:\n"
            "                peak = total\n"
            "            if total <= low or total >= high or (bps > 0 and total <= drawdown_level(peak, bps, strict)):",
            "            before = peak\n"
            "            if total > peak:\n"
            "                peak = total\n"
            "            if total <= low or total >= high or (bps > 0 and total <= drawdown_level(before, bps, strict)):",
        ),
        (
            "bound: a stretch is judged by the peak of before",
            _BOUNDS,
            "if floor <= drawdown_level(reach[1], bps, strict):",
            "if floor <= drawdown_level(peak, bps, strict):",
        ),
        ("bound: the peak of a block that ends later counts", _BOUNDS, "!= 0 or stop > end:", "!= 0:"),
        ("bound: the peak of a block that began earlier counts", _BOUNDS, "if row & ((1 << shift) - 1) != 0 or stop > end:", "if stop > end:"),
        ("bound: the value before the stretch is forgotten", _BOUNDS, "                lo = min(lo, bottom)", "                lo = bottom"),
        ("bound: a stretch is longer than its block", _BOUNDS, "stop = ((row >> shift) + 1) << shift", "stop = row + (1 << shift)"),
        ("bound: the other instrument's block may end earlier", _BOUNDS, "if ends < until:", "if ends < until and k == 0:"),
        ("bound: the largest blocks are looked up among the middle ones", _BOUNDS, "base = n1 + n2\n", "base = n1\n"),
        ("bound: skipping goes an event too far", _BOUNDS, "if ts[middle] < until:", "if ts[middle] <= until:"),
        ("bound: skipping keeps the value of before", _BOUNDS, "n)[lo - 1]", "n)[row]"),
        ("bound: of two events at one time the later stream comes first", _BOUNDS, "if at < best:", "if at <= best:"),
        # -- the level book -------------------------------------------------------------------------------------------
        ("levels: a nearer level does not make the side look again", _LEVELS, "if _sift_up(levels, ids, n) == 0:", "if _sift_up(levels, ids, n) < 0:"),
        (
            "levels: making room drops the newest",
            _LEVELS,
            "        for j in range(n):\n            if alive",
            "        for j in range(n - 1):\n            if alive",
        ),
        ("levels: making room does not restore the order", _LEVELS, "for j in range(1, kept):", "for j in range(kept, kept):"),
        (
            "levels: growth loses the entries",
            _LEVELS,
            "(np.concatenate([heap, np.zeros_like(heap)]) for heap in self._heaps[which])",
            "(np.zeros(2 * len(heap), np.int64) for heap in self._heaps[which])",
        ),
        ("levels: a nearer level is searched for up to the row before the old hit", _LEVELS, "end = hit  # a nearer", "end = hit - 1  # a nearer"),
        ("levels: a farther level is searched for after the old hit", _LEVELS, "start = hit  # a farther", "start = hit + 1  # a farther"),
        ("levels: the old hit is taken for the new level's", _LEVELS, "if level == side[S_SEARCHED] and hit >= position:", "if hit >= position:"),
        ("levels: a hit at the limit itself is left", _LEVELS, "best_row > limit_row)", "best_row >= limit_row)"),
        ("levels: of two hits at one time the later stream comes first", _LEVELS, "(r < best_rank or", "(r > best_rank or"),
        ("levels: a level that is just touched stays", _LEVELS, "levels[0] <= value and", "levels[0] < value and"),
        ("levels: events of later streams at this time are passed over", _LEVELS, "position = pos_right(d, now - 1)", "position = pos_right(d, now)"),
        ("levels: the event at which a level was armed reaches it", _LEVELS, "position = row + 1", "position = row"),
        (
            "levels: what is left of a side that was hit is not searched again",
            _LEVELS,
            "        side[S_DIRTY] = 1\n    return found",
            "        side[S_DIRTY] = 0\n    return found",
        ),
        ("levels: disarming leaves the hit", _LEVELS, "self.sides[which * SIDE_SIZE + S_DIRTY] = 1", "self.sides[which * SIDE_SIZE + S_DIRTY] = 0"),
        ("levels: two ids may share a place", _LEVELS, "if taken and taken in self.conditions:", "if False:"),
        # -- the replay form ------------------------------------------------------------------------------------------
        (
            "replay: sees later streams' events of this time",
            _REPLAY,
            "position = scan.pos_right(self._d[rank], self.now - 1)",
            "position = scan.pos_right(self._d[rank], self.now)",
        ),
        (
            "replay: does not see earlier streams' events of this time",
            _REPLAY,
            "position = scan.pos_right(self._d[rank], self.now)\n",
            "position = scan.pos_right(self._d[rank], self.now - 1)\n",
        ),
        ("replay: looks ahead by a row", _REPLAY, "position = self._row + 1", "position = min(self._row + 2, self._n[rank])"),
        ("replay: an event does not see itself", _REPLAY, "position = self._row + 1", "position = self._row"),
        ("replay: positions outlive their event", _REPLAY, "rank, row\n        self._serial += 1", "rank, row\n        self._serial += self._serial == 0"),
        ("replay: positions outlive the event of a single level", _REPLAY, "rank, row\n                self._serial += 1", "rank, row\n                pass"),
        (
            "replay: a single level does not wait for what else is due at its event",
            _REPLAY,
            "if due > 1 or (queue and queue[0][0] == ts and queue[0][1] == rank and queue[0][2] == row):",
            "if due > 1:",
        ),
        ("replay: a suspended search goes on a row late", _REPLAY, 'c.state = ("from", end, kept)', 'c.state = ("from", end + 1, kept)'),
        ("replay: a suspended trail forgets its peak", _REPLAY, "extreme = c.state[2] if resumed else -FAR * side", "extreme = -FAR * side"),
        ("replay: flow is given up a nanosecond early", _REPLAY, "last = scan.pos_right(d, c.until_ns)", "last = scan.pos_right(d, c.until_ns - 1)"),
        ("replay: flow is given up a nanosecond late", _REPLAY, "last = scan.pos_right(d, c.until_ns)", "last = scan.pos_right(d, c.until_ns + 1)"),
        (
            "replay: a bid is filled when the bid reaches it",
            _REPLAY,
            "hit = scan.first_le(self._d[quotes], 1, first",
            "hit = scan.first_le(self._d[quotes], 0, first",
        ),
        (
            "replay: an ask is filled when the ask reaches it",
            _REPLAY,
            "hit = scan.first_ge(self._d[quotes], 0, first",
            "hit = scan.first_ge(self._d[quotes], 1, first",
        ),
        (
            "replay: a print comes before the quote of its time",
            _REPLAY,
            "last = scan.pos_right(self._d[quotes], until) if",
            "last = scan.pos_right(self._d[quotes], until - 1) if",
        ),
        ("replay: a suspended order forgets how far its queue was eaten", _REPLAY, "queue = c.state[2] if resumed else order.queue", "queue = order.queue"),
        ("replay: a suspended order misses a quote", _REPLAY, 'c.state = ("from", end, queue, last)', 'c.state = ("from", end, queue, last + 1)'),
        ("replay: a quote fills one lot", _REPLAY, "c.state = (order.leaves_lots, 0)", "c.state = (1, 0)"),
        (
            "replay: an order filled in part is forgotten",
            _REPLAY,
            "if condition.kind == REST and condition.alive:",
            "if condition.kind == REST and not condition.alive:",
        ),
        (
            "replay: what is due at one event does not run in the order of arming",
            _REPLAY,
            "hits.sort(key=_by_arming)",
            "hits.sort(key=_by_arming, reverse=True)",
        ),
        ("replay: an event comes before the timer of its time", _REPLAY, "timers[0][0] <= queue[0][0]", "timers[0][0] < queue[0][0]"),
        ("replay: the last moment does not belong to the run", _REPLAY, "if ts > last:", "if ts >= last:"),
        ("replay: a bound takes a bid for a doubled price", _REPLAY, "legs.append((rank, column, weight * factor,", "legs.append((rank, column, weight,"),
        ("replay: the peak of a bound is not followed", _REPLAY, "-NEVER, NEVER, BPS, NEVER // 2)", "-NEVER, NEVER, 0, NEVER // 2)"),
        # -- bars and the index ---------------------------------------------------------------------------------------
        (
            "bars: the open bar counts as closed",
            _BARS,
            "min(now_ns // timeframe_ns - table.base, table.size)",
            "min(now_ns // timeframe_ns - table.base + 1, table.size)",
        ),
        ("bars: the window of the bands is a bar short", _BARS, "t.sums[n] - t.sums[n - length]", "t.sums[n] - t.sums[n - length + 1]"),
        ("bars: the squares of the bands are a bar short", _BARS, "t.squares[n] - t.squares[n - length]", "t.squares[n] - t.squares[n - length + 1]"),
        ("bars: a swing is seen before it is confirmed", _BARS, "bisect_right(swings, self.count - 1 - reach)", "bisect_right(swings, self.count - reach)"),
        ("bars: swings are looked for a bar less far back", _BARS, "bisect_left(swings, self.count - last)", "bisect_left(swings, self.count - last + 1)"),
        ("bars: equal neighbours make a swing", _BARS, "(inner > v[reach - offset", "(inner >= v[reach - offset"),
        ("bars: the range of the last bar of all", _BARS, "self._table.atr(length)[self.count - 1]", "self._table.atr(length)[-1]"),
        (
            "bars: minutes without trades count as prices of longer bars",
            _BARS,
            "return np.flatnonzero(rows[1:] > rows[:-1])",
            "return np.arange(len(rows) - 1)",
        ),
        ("bars: longer bars begin with the first trade", _BARS, "group = (base + traded) // length", "group = base // length + traded // length"),
        ("index: volume is signed", _INDEX, "volume[slot] = np.add.reduceat(np.abs(lots), starts)", "volume[slot] = np.add.reduceat(lots, starts)"),
        ("index: the basis is rounded up", _INDEX, "(p2 - s2) * 10_000_000 // s2", "-((s2 - p2) * 10_000_000 // s2)"),
        ("index: the basis takes the perpetual's quote of before", _INDEX, "seen_perp[both] - 1", "np.maximum(seen_perp[both] - 2, 0)"),
        # -- what all forms share: killed by the worked examples ------------------------------------------------------
        ("funding: longs receive a positive rate", _CORE, "amount = -lots * self", "amount = lots * self"),
        ("funding: rounded in our favour", _CORE, "value2 * rate // (2 * RATE_SCALE)", "value2 * rate // (2 * RATE_SCALE) + 1"),
        ("timers: a past time means now", _CORE, "max(ts_ns, self.now + 1)", "max(ts_ns, self.now)"),
        ("value: spot is worth what it costs", _CORE, "if factor == 1 else 2 * quote[0]", "if factor == 1 else 2 * quote[1]"),
        ("orders: an order arrives at once", _MATCHING, "self.engine.now + self.latency_ns, self._arrive", "self.engine.now + 1, self._arrive"),
        ("orders: a cancel arrives at once", _MATCHING, "self.engine.now + self.latency_ns, self._cancel_arrives", "self.engine.now + 1, self._cancel_arrives"),
        ("orders: a stop trades at the quote of before the print", _MATCHING, "(touched - best) * sign > 0", "(touched - best) * sign > 10**9"),
        ("orders: two own orders share a print", _MATCHING, " + self._own_ahead(order, limit)", ""),
        ("orders: post-only takes at the touch", _MATCHING, "limit >= quote[1] if order.sign > 0", "limit > quote[1] if order.sign > 0"),
        ("orders: all or nothing takes something", _MATCHING, "if tif is TimeInForce.FOK and", "if False and"),
        ("orders: reduce-only is not cut", _MATCHING, "order.leaves_lots = min(order.leaves_lots, room)", "order.leaves_lots = order.leaves_lots"),
        ("orders: slippage improves the price", _MATCHING, "price += slip", "price -= slip"),
        (
            "orders: a price inside the spread has a queue",
            _MATCHING,
            "if (limit > best) == (order.sign > 0):\n            return 0",
            "if (limit > best) == (order.sign > 0):\n            return displayed",
        ),
        (
            "orders: the queue is that of the other side",
            _MATCHING,
            "levels = self.engine.depth(order.k, order.sign < 0)",
            "levels = self.engine.depth(order.k, order.sign > 0)",
        ),
        ("orders: makers pay the taker's fee", _MATCHING, "rate = maker if liquidity is Liquidity.MAKER else taker", "rate = taker"),
        ("orders: fees are rounded down", _MATCHING, "-(-lots * price * rate // PPM)", "(lots * price * rate // PPM)"),
        ("protection: outlives a turn of the position", _VENUE, "if position == 0 or before * position < 0:", "if position == 0:"),
        ("protection: a later fill of the entry resets it", _VENUE, "and (current is None or not order.attached):", "and True:"),
        ("protection: a second entry loosens it", _VENUE, "(max(stops) if position > 0 else min(stops))", "order.intent.stop"),
        ("protection: a print through the entry spares the stop", _MATCHING, "        self._stop_swept(order)\n", ""),
        (
            "protection: exits outlive their position",
            _MATCHING,
            "order.intent.reduce_only and order.is_live and (order.rest",
            "False and order.is_live and (order.rest",
        ),
        ("timers: every counts from now", _DESK, "first = (self.engine.now // period_ns + 1) * period_ns", "first = self.engine.now + period_ns"),
        (
            "position: another phase's is taken for one's own",
            _HANDLES,
            "return account.lots[k] if account.owner[k] == self._slot else 0",
            "return account.lots[k]",
        ),
        # -- predicates -----------------------------------------------------------------------------------------------
        ("predicate: those of one line share what they close over", _PREDICATES, "function.__code__, closed_over, function.__defaults__", "function.__code__"),
        ("predicate: the second side of a quote is the first", _PREDICATES, "int64(bid[i]), int64(ask[i])", "int64(bid[i]), int64(bid[i])"),
        (
            "predicate: what is armed sees the event at which it was armed",
            _REPLAY,
            "self.prepared.tape.streams[rank], start, end)",
            "self.prepared.tape.streams[rank], max(0, start - 1), end)",
        ),
        # -- the Brain over the engine --------------------------------------------------------------------------------
        ("marks: they are watched before they begin", _CORE, "and self.latest_ts(marks) is None:", "and False:"),
        ("marks: the mid is watched to the end", _CORE, "        self._values[k] = self.layout.value_stream(k)\n", ""),
        (
            "marks: nothing is armed anew when they begin",
            _CORE,
            "self._values[k] = self.layout.value_stream(k)\n        self.liquidator.watch()\n        self.governor.settle()",
            "self._values[k] = self.layout.value_stream(k)",
        ),
        ("approval: a bound that the same event crosses is not seen", _GOVERNOR, "and self.watch.is_crossed():", "and False:"),
        ("approval: only the draw-down is looked at", _WATCH, "if total <= bound.low or total >= bound.high:", "if False:"),
        ("approval: stopped marks do not make a market stale", _EXPOSURE, "quoted_at = min(quoted_at, marked_at)", "quoted_at = max(quoted_at, marked_at)"),
        ("budget: the venue's leverage is not heeded", _EXPOSURE, "most = min(margin_left * times,", "most = min(margin_left * s.leverage,"),
        ("budget: the fee is forgotten", _EXPOSURE, "* PPM // (PPM + times * fee_ppm)", "* PPM // PPM"),
        ("drift: the cap is the one without the drift", _WATCH, "(BPS + self._governor.limits.drift_bps)", "BPS"),
        (
            "drift: the venue's leverage is not heeded",
            _WATCH,
            "times = [book.leverage_on(instruments[k]) for k in mine]",
            "times = [book.leverage for k in mine]",
        ),
        ("leaving: a successor that may not enter will do", _GOVERNOR, "any(states.get(other.id) in ENTERING", "any(states.get(other.id) in OPERATING"),
        ("leaving: a disabled phase is told to drain", _GOVERNOR, "elif state in OPERATING and (verdict", "elif (verdict"),
        (
            "hand-over: exits are cancelled before anybody accepts",
            _CLOSING,
            "        if not held or not takers:\n            return False\n",
            "        if not held or not takers:\n            return False\n        self.cancel_own(giver)\n",
        ),
        ("pairs: a leg that has lost the other stays", _GOVERNOR, "self.pairing.unwind()", "pass"),
        ("pairs: an order that ended is not looked at", _GOVERNOR, "if self._leaving() or self.pairing.is_needed:", "if self._leaving():"),
        ("pairs: the smaller leg is reduced", _PAIRING, "legs[0] if abs(spot) > abs(perp) else legs[1]", "legs[0] if abs(spot) < abs(perp) else legs[1]"),
        ("pairs: there is no grace", _PAIRING, "elif not self._is_working(legs):", "elif True:"),
        ("pairs: the grace never ends", _PAIRING, "            self._reduce(k, lots)\n\n    def _reduce", "            pass\n\n    def _reduce"),
        ("pairs: a leg with a stop of its own is closed", _PAIRING, "if not any(mine) or self._is_stopped(legs):", "if not any(mine):"),
        ("hand-over: the position moves while an order of the giver works", _CLOSING, "if self.is_working(giver):", "if False:"),
        # -- the per-event form ---------------------------------------------------------------------------------------
        ("per event: a bid that just reaches a level passes it", _LIVE, "or bid >= near[0] or", "or bid > near[0] or"),
        ("per event: an order filled in part is forgotten", _LIVE, "self._rest_side(rank, condition).push(condition)\n\n", "pass\n\n"),
        ("per event: a print that eats the queue takes the order off the book", _LIVE, "self._side(rank, 0, condition.rising).push(condition)", "pass"),
        ("per event: flow is given up a nanosecond early", _LIVE, "if now > c.until_ns:", "if now >= c.until_ns:"),
        (
            "per event: the basis comes before its quote",
            _LIVE,
            "            mid2 = bid + ask\n",
            "            mid2 = bid + ask\n            for step in derived:\n                step(mid2)\n",
        ),
        ("per event: a timer of the event's time comes after it", _LIVE, "if timers and timers[0][0] <= ts_ns:", "if timers and timers[0][0] < ts_ns:"),
        ("per event: a level that is just touched stays", _NEAREST, "while heap and heap[0][0] <= key:", "while heap and heap[0][0] < key:"),
        ("per event: the first event of a bound is not looked at", _NEAREST, "self.seen: int | None = None", "self.seen: int | None = known"),
        ("per event: the floor of a bound does not rise with its peak", _NEAREST, "            watch.floor = watch.lowest()", "            pass"),
        ("per event: arming again revives the old place", _NEAREST, "if condition.alive and condition.seq == seq:", "if condition.alive:"),
        ("per event: windows are closed at their start", _HISTORY, "bisect_right(self._segments[i].ts, ts))", "bisect_left(self._segments[i].ts, ts))"),
        ("per event: the first rows of a range are left out", _HISTORY, "if first < low << BLOCK_BITS:", "if first < 0:"),
        ("per event: the last rows of a range are left out", _HISTORY, "if high << BLOCK_BITS < end:", "if end < 0:"),
        ("per event: trades are forgotten before their bar has closed", _HISTORY, "*(builder.next_ns for builder in self.builders), NEVER)", "NEVER)"),
        ("per event: a bar closes a nanosecond late", _HISTORY, "if now_ns - self.next_ns < length:", "if now_ns - self.next_ns <= length:"),
        (
            "per event: minutes without trades count as prices of longer bars",
            _HISTORY,
            "            else:\n                self.traded.append(self.size)\n",
            "            self.traded.append(self.size)\n",
        ),
    )
)
