"""Keeps a box in its file: every change before anybody is told of it, and the market's time now and then."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from titan_core.errors import UsageError
from titan_core.model.units import S
from titan_core.simulator.chunks import Supply
from titan_core.simulator.exchange import Exchange
from titan_core.simulator.market import Bookmark, Market, Resumed
from titan_core.simulator.outbox import Outbox
from titan_core.simulator.records import Change, ClockRecord, Head
from titan_core.simulator.saving import Saved, drawn_up, drawn_up_whole, restore
from titan_core.simulator.store import BoxStore, StoreError
from titan_core.simulator.timers import Timers
from titan_core.simulator.unsaved import Unsaved

CLOCK_EVERY_NS = 30 * S
"""How often the clock is written, in the market's time."""
FOLLOWING_LEAD = 4
"""A market that follows a clock may be late: it is granted this many times as much."""


def new_head(supply: Supply, *, seed: int, ticks_per_day: int, start_ns: int, deposit: int, extra_coins: int) -> Head:
    """Return the head of a new file; its first prices are not known yet."""
    return Head(market=supply.name, seed=seed, ticks_per_day=ticks_per_day, start_ns=start_ns, deposit=deposit, extra_coins=extra_coins, first={})


def go_on(store: BoxStore, found: Head, saved: Saved, wanted: Head, supply: Supply) -> tuple[Head, Supply, Resumed]:
    """Return the head in the file, the supply from where it must begin, and where the market goes on. Raises UsageError where the file holds another box."""
    for name in ("market", "seed", "extra_coins"):
        has, wants = getattr(found, name), getattr(wanted, name)
        if has != wants:
            store.close()
            what = name.replace("_", " ")
            raise UsageError(f"{store.path} holds a box whose {what} is {has!r}, not {wants!r}; ask for that one, or name another file")
    clock, mark = saved.clock, saved.bookmark
    if mark is None or supply.at is None:
        return found, supply, Resumed(clock.next_ns, clock.done, clock.last)
    return found, supply.at(mark.state), Resumed(clock.next_ns, clock.done, clock.last, mark)


class Times(Protocol):
    """What the keeper asks a box."""

    hour_ns: int

    def now_ns(self) -> int:
        """Return the market's time."""
        ...


class Keeper:
    """Writes down what happens to a box. `write` is what its outbox calls before it lets messages go."""

    def __init__(self, store: BoxStore, head: Head, market: Market, exchanges: Mapping[str, Exchange], outbox: Outbox, timers: Timers, times: Times) -> None:
        self._store, self._head, self._market, self._exchanges, self._timers = store, head, market, exchanges, timers
        self._times, self._now = times, times.now_ns
        self._unsaved = {name: Unsaved(outbox.hold) for name in exchanges}
        self._mark: Bookmark | None = None
        self._shown = 0
        self._lead = CLOCK_EVERY_NS
        outbox.write = self.write

    def restore(self, saved: Saved) -> None:
        """Make fresh accounts what they were. Raises StoreError where the file does not fit together."""
        self._shown = saved.clock.shown_ns
        try:
            for exchange in self._exchanges.values():
                found = saved.accounts.get(exchange.account.venue)
                if found is not None:
                    restore(exchange, found)
        except (KeyError, ValueError) as error:
            self._store.close()
            raise StoreError(
                f"{self._store.path} does not fit together ({error!r}); put a copy in its place, or move the file away to begin with a new market and account"
            ) from None

    def begin(self, following: bool) -> None:
        """Write the whole box and begin to take note of changes. Raises StoreError."""
        self._lead *= FOLLOWING_LEAD if following else 1
        self._whole()
        for name, exchange in self._exchanges.items():
            exchange.account.unsaved = self._unsaved[name]
        self._timers.call_at(self._now() + CLOCK_EVERY_NS, self._tick)

    def _whole(self) -> None:
        self._shown = max(self._shown, self._now() + self._lead)
        self._store.begin(self._head, self._everything())
        self._written()

    def _everything(self) -> Iterator[Change]:
        self._mark = self._market.bookmarks[0] if self._market.bookmarks else None
        yield Change(clock=self._clock(), bookmark=self._mark)
        for exchange in self._exchanges.values():
            for piece in drawn_up_whole(exchange).pieces():
                yield Change(clock=self._clock(), accounts=[piece])

    def _written(self) -> None:
        for name, exchange in self._exchanges.items():
            account = exchange.account
            self._unsaved[name].written(len(account.executions), len(exchange.closed), len(account.wallet.changes))

    def _clock(self) -> ClockRecord:
        next_ns, done = self._market.place()
        now, last = self._now(), {role: (book.last, book.last_tick) for role, book in self._market.books.items()}
        return ClockRecord(now_ns=now, shown_ns=max(self._shown, now), next_ns=next_ns, done=done, last=last, hour_ns=self._times.hour_ns)

    def write(self) -> None:
        """Write down what has changed. Raises StoreError; the change is then still to be written."""
        changed = [name for name, unsaved in self._unsaved.items() if unsaved.any]
        if not changed:
            return
        self._store.append(Change(clock=self._clock(), accounts=[drawn_up(self._exchanges[name], self._unsaved[name]) for name in changed]))
        self._written()

    def _tick(self) -> None:
        self._timers.call_at(self._now() + CLOCK_EVERY_NS, self._tick)
        if self._store.is_due:
            self._whole()
            return
        self._shown = max(self._shown, self._now() + self._lead)
        mark = self._market.bookmarks[0] if self._market.bookmarks else None
        if mark is not self._mark:
            self._store.append(Change(clock=self._clock(), bookmark=mark))
            self._mark = mark
        self._store.set_clock(self._clock())

    def close(self) -> None:
        """Write the time at which the market stands, and let go of the file. Raises StoreError where it cannot be written."""
        try:
            self.write()
            self._shown = self._now()
            self._store.set_clock(self._clock())
        finally:
            self._store.close()
