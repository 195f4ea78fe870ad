"""Where rows go: one channel per instrument and kind of row, which stamps them and calls whoever subscribed, one after the other."""

from collections.abc import Callable

from titan_core.feed.port import Emit, TradeEmit, TradeId, Values
from titan_core.feed.strict_time import StrictTime
from titan_core.model.enums import StreamKind

Handler = Callable[[int, StreamKind, Values, int], None]
"""`handler(ts_ns, kind, values, event_ns)`: receive time, unique over everything received; what the values mean; the raw columns after `ts`; the venue's
time, 0 where it sends none. It must not block; what it raises goes to the loop's exception handler."""

MOST_HELD = 100_000


class Channel:
    """The rows of one stream."""

    __slots__ = ("_by_token", "handlers", "kind", "last", "time")

    def __init__(self, kind: StreamKind, time: StrictTime) -> None:
        self.kind, self.time = kind, time
        self.handlers: tuple[Handler, ...] = ()
        self.last: Values | None = None
        self._by_token: dict[int, Handler] = {}

    def add(self, token: int, handler: Handler) -> None:
        """Hand rows to a receiver from now on."""
        self._by_token[token] = handler
        self.handlers = tuple(self._by_token.values())

    def remove(self, token: int) -> None:
        """Stop handing rows to a receiver."""
        self._by_token.pop(token, None)
        self.handlers = tuple(self._by_token.values())

    def emitter(self) -> Emit:
        """Return what takes rows."""
        channel, kind, next_ts = self, self.kind, self.time.next

        def emit(event_ns: int, values: Values) -> None:
            channel.last = values
            ts_ns = next_ts()
            for handler in channel.handlers:
                handler(ts_ns, kind, values, event_ns)

        return emit


class TradeChannel(Channel):
    """The prints of one instrument, which can be held back while those that were missed are fetched, so that all come in order."""

    __slots__ = ("held", "last_event_ns", "last_id", "last_ts_ns")

    def __init__(self, time: StrictTime) -> None:
        super().__init__(StreamKind.TRADE, time)
        self.held: list[tuple[int, Values, TradeId]] | None = None
        self.last_id: TradeId = ""
        self.last_event_ns = 0
        self.last_ts_ns = 0
        """The time of the newest print; 0 before the first."""

    def trade_emitter(self) -> TradeEmit:
        """Return what takes prints."""
        channel, kind, next_ts = self, self.kind, self.time.next

        def emit(event_ns: int, values: Values, ident: TradeId) -> None:
            held = channel.held
            if held is not None:
                held.append((event_ns, values, ident))
                if len(held) >= MOST_HELD:
                    channel.release()
                return
            channel.last_id, channel.last_event_ns = ident, event_ns
            channel.last_ts_ns = ts_ns = next_ts()
            for handler in channel.handlers:
                handler(ts_ns, kind, values, event_ns)

        return emit

    def hold(self) -> None:
        """Hold prints back."""
        if self.held is None:
            self.held = []

    def release(self) -> None:
        """Let what was held back go, in its order."""
        held, self.held = self.held, None
        emit = self.trade_emitter()
        for row in held or ():
            emit(*row)
