"""Bybit V5 public recordings: trades, tickers and order books of one instrument become trades, mark prices, open interest, quotes and depth.

Lines have a receive time or not; without one the message's `ts` stands in. `publicTrade` packs many trades into one message: they get the same receive
time, bumped by a nanosecond each. `tickers` starts with a snapshot and then sends only what changed. Order books are kept per depth (`orderbook.1`, `.50`,
`.500`); quotes come from the shallowest, which is the fastest, depth rows from the deepest. Within a book `u` counts up by one from message to message
(V5 documentation, "Orderbook"); a message with u = 1 is a snapshot after a restart of the service.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from attrs import define, field

from titan_core.errors import TapeError, UsageError
from titan_core.model.enums import StreamKind
from titan_core.model.market import GapReason
from titan_core.tape.catalog import normal_symbol
from titan_core.tape.columns import DEPTH_LEVELS
from titan_core.tape.faults import FaultKind, FaultLog
from titan_core.tape.importers.assemble import assemble, rows_by_kind
from titan_core.tape.importers.book import Book, LevelRuns
from titan_core.tape.importers.decimals import PRICE_DECIMALS, SIZE_DECIMALS, Ints, is_time, read_numbers, times_to_ns
from titan_core.tape.importers.detect import Format, Layout, detect
from titan_core.tape.importers.framing import frame
from titan_core.tape.importers.lines import Block, Progress, Recording, preview
from titan_core.tape.importers.messages import BybitLevels, BybitTicker, BybitTrade, Envelope, read_levels, short_id
from titan_core.tape.importers.rows import GapRows, Rows, Timeline, readable
from titan_core.tape.importers.sequence import check_ids
from titan_core.tape.importers.target import ImportResult, Target
from titan_core.tape.manifest import Source

OTHER = "other symbols"
MARK_DISTANCE_BPS = 500
"""A mark price further than this from the index is reported (and kept): it happens on test networks and in accidents."""

_UNUSED = ("kline", "liquidation", "allLiquidation", "insurance", "priceLimit", "adlAlert")
_MARKETS = ("bybit-linear", "bybit-spot")


@define(eq=False)
class _BookState:
    """One depth of the book."""

    book: Book = field(factory=Book)
    last: int | None = None
    last_slot: int = 0
    best: tuple[int, int, int, int] = (0, 0, 0, 0)
    quotes: list[tuple[int, int, int, int, int, int]] = field(factory=list)
    depth_slots: list[tuple[int, int]] = field(factory=list)
    depth_rows: list[Ints] = field(factory=list)


@define(eq=False)
class _Message:
    """One message of ours in the block being read."""

    slot: int
    line: int
    topic: str
    kind: str
    data: bytes
    event_ns: int
    stamped: bool


@define(eq=False)
class BybitRecording:
    """The state of one import."""

    symbol: str
    layout: Layout
    log: FaultLog
    timeline: Timeline = field(factory=Timeline, init=False)
    gaps: GapRows = field(factory=GapRows, init=False)
    counts: dict[str, int] = field(factory=dict, init=False)
    trades: Rows = field(factory=lambda: Rows(StreamKind.TRADE), init=False)
    marks: Rows = field(factory=lambda: Rows(StreamKind.MARK), init=False)
    interest: Rows = field(factory=lambda: Rows(StreamKind.OPEN_INTEREST), init=False)
    books: dict[int, _BookState] = field(factory=dict, init=False)
    block_trades: int = field(default=0, init=False)
    funding_information: int = field(default=0, init=False)
    unstamped: int = field(default=0, init=False)
    _index: str = field(default="0", init=False)
    _mark: str = field(default="", init=False)

    def feed(self, block: Block) -> None:
        """Take the next lines."""
        receive: list[int] = []
        lines: list[int] = []
        messages: list[_Message] = []
        base = self.timeline.slots
        for number, line in enumerate(block.lines, block.first):
            met = self._meet(line, number)
            if met is None:
                continue
            envelope, stamp = met
            time = stamp or envelope.ts
            if not is_time(time):
                self._count("bad line")
                self.log.add(FaultKind.BAD_LINE, number, f"ts {time} is no time: {preview(line)}")
                continue
            self.unstamped += not stamp
            topic, _, rest = envelope.topic.partition(".")
            symbol = rest.rpartition(".")[2]
            name = f"{topic}.{rest.partition('.')[0]}" if topic == "orderbook" else topic
            self._count(name if topic == "publicTrade" or not envelope.type else f"{name} {envelope.type}")
            if normal_symbol(symbol) != self.symbol:
                self._count(OTHER)
            elif topic in ("publicTrade", "orderbook", "tickers"):
                event_ns = int(times_to_ns(np.array([envelope.ts], np.int64))[0])
                message = _Message(base + len(receive), number, envelope.topic, envelope.type, bytes(envelope.data), event_ns, stamp > 0)
                messages.append(message)
                repeat = max(1, message.data.count(b'"i"')) if topic == "publicTrade" else 1
                receive += [time] * (repeat - 1)
                lines += [number] * (repeat - 1)
            elif topic not in _UNUSED:
                self.log.add(FaultKind.UNKNOWN_MESSAGE, number, f"topic {envelope.topic}: {preview(bytes(envelope.data))}")
            receive.append(time)
            lines.append(number)
        receive_ns = times_to_ns(np.array(receive, np.int64))
        self.timeline.extend(receive_ns, np.array(lines, np.int64))
        stamped = [m for m in messages if m.stamped]
        at = np.array([m.slot - base for m in stamped], np.int64)
        self.timeline.compare(receive_ns[at], np.array([m.event_ns for m in stamped], np.int64))
        self._trades([m for m in messages if m.topic.startswith("publicTrade")])
        self._tickers([m for m in messages if m.topic.startswith("tickers")])
        self._books([m for m in messages if m.topic.startswith("orderbook")])

    def _meet(self, line: bytes, number: int) -> tuple[Envelope, int] | None:
        """Return a line's message and receive time (0 without one), or None where it holds no message of a topic."""
        framed = frame(line, self.layout)
        if framed.note:
            self._count(framed.note)
            if framed.note == "bad line":
                self.log.add(FaultKind.BAD_LINE, number, preview(line))
            return None
        try:
            envelope = msgspec.json.decode(framed.payload, type=Envelope)
        except msgspec.MsgspecError as error:
            self._count("bad line")
            self.log.add(FaultKind.BAD_LINE, number, f"{error}: {preview(framed.payload)}")
            return None
        if envelope.topic:
            if not envelope.ts:
                raise TapeError(f"{self.log.file}: line {number} is not of Bybit V5, it has no ts: {preview(framed.payload)}; allowed are V5 public topics")
            return envelope, framed.receive
        if envelope.stream or envelope.e or envelope.channel:
            raise TapeError(f"{self.log.file}: line {number} is not a Bybit message: {preview(framed.payload)}; allowed are V5 public topics")
        if envelope.op or envelope.success is not None:
            self._count(envelope.op or "acknowledgement")
            return None
        self._count("unknown")
        self.log.add(FaultKind.UNKNOWN_MESSAGE, number, preview(framed.payload))
        return None

    # -- trades -----------------------------------------------------------------------------------------------
    def _trades(self, messages: Sequence[_Message]) -> None:
        trades: list[BybitTrade] = []
        slots: list[int] = []
        lines: list[int] = []
        for message in messages:
            try:
                found = msgspec.json.decode(message.data, type=list[BybitTrade])
            except msgspec.MsgspecError as error:
                self.log.add(FaultKind.BAD_LINE, message.line, f"{error}: {preview(message.data)}")
                continue
            trades += found
            slots += range(message.slot, message.slot + len(found))
            lines += [message.line] * len(found)
        if not trades:
            return
        self.block_trades += sum(trade.BT for trade in trades)
        tokens = {"price": [t.p for t in trades], "signed_lots": [t.v for t in trades]}
        values = {"price": read_numbers(tokens["price"]).fine(PRICE_DECIMALS), "signed_lots": read_numbers(tokens["signed_lots"]).fine(SIZE_DECIMALS)}
        keep = readable(values, tokens, np.array(lines, np.int64), self.log)
        signs = np.array([1 if trade.S == "Buy" else -1 for trade in trades], np.int64)
        events = times_to_ns(np.array([trade.T for trade in trades], np.int64))
        ids = np.array([short_id(trade.i) for trade in trades], np.int64)
        fields = {"price": values["price"][0], "signed_lots": values["signed_lots"][0] * signs, "id": ids}
        self.trades.add(np.array(slots, np.int64)[keep], events[keep], {name: fine[keep] for name, fine in fields.items()})

    # -- tickers ----------------------------------------------------------------------------------------------
    def _tickers(self, messages: Sequence[_Message]) -> None:
        marks: list[tuple[int, int, int, str, str]] = []
        interest: list[tuple[int, int, int, str]] = []
        for message in messages:
            try:
                ticker = msgspec.json.decode(message.data, type=BybitTicker)
            except msgspec.MsgspecError as error:
                self.log.add(FaultKind.BAD_LINE, message.line, f"{error}: {preview(message.data)}")
                continue
            self.funding_information += bool(ticker.fundingRate or ticker.nextFundingTime)
            self._index, self._mark = ticker.indexPrice or self._index, ticker.markPrice or self._mark
            if self._mark and (ticker.markPrice or ticker.indexPrice):
                marks.append((message.slot, message.line, message.event_ns, self._mark, self._index))
            if ticker.openInterest:
                interest.append((message.slot, message.line, message.event_ns, ticker.openInterest))
        if marks:
            slots, lines, events, prices, indexes = (list(column) for column in zip(*marks, strict=True))
            self._add(self.marks, slots, lines, events, {"price": prices, "index": indexes})
            self._check_distance(lines, prices, indexes)
        if interest:
            slots, lines, events, sizes = (list(column) for column in zip(*interest, strict=True))
            self._add(self.interest, slots, lines, events, {"lots": sizes})

    def _add(self, rows: Rows, slots: list[int], lines: list[int], events: list[int], tokens: dict[str, list[str]]) -> None:
        values = {name: read_numbers(texts).fine(SIZE_DECIMALS if name == "lots" else PRICE_DECIMALS) for name, texts in tokens.items()}
        keep = readable(values, tokens, np.array(lines, np.int64), self.log)
        fields = {name: fine[keep] for name, (fine, _) in values.items()}
        rows.add(np.array(slots, np.int64)[keep], np.array(events, np.int64)[keep], fields)

    def _check_distance(self, lines: list[int], prices: list[str], indexes: list[str]) -> None:
        mark, index = (read_numbers(texts).fine(6)[0] for texts in (prices, indexes))
        far = np.flatnonzero((index > 0) & (np.abs(mark - index) * 10_000 > MARK_DISTANCE_BPS * index))
        if len(far):
            row = int(far[0])
            text = f"mark {prices[row]} is more than {MARK_DISTANCE_BPS} bps from index {indexes[row]}; kept"
            self.log.add(FaultKind.OUT_OF_RANGE, lines[row], text, len(far))

    # -- books ------------------------------------------------------------------------------------------------
    def _books(self, messages: Sequence[_Message]) -> None:
        good: list[tuple[_Message, BybitLevels[msgspec.Raw]]] = []
        for message in messages:
            try:
                good.append((message, msgspec.json.decode(message.data, type=BybitLevels[msgspec.Raw])))
            except msgspec.MsgspecError as error:
                self.log.add(FaultKind.BAD_LINE, message.line, f"{error}: {preview(message.data)}")
        runs, bad = read_levels([bytes(levels.b) for _, levels in good], [bytes(levels.a) for _, levels in good])
        for place in bad:
            self.log.add(FaultKind.BAD_LINE, good[place][0].line, f"book levels cannot be read: {preview(good[place][0].data)}")
        for place, (message, levels) in enumerate(good):
            depth = int(message.topic.split(".")[1])
            self._update(self.books.setdefault(depth, _BookState()), message, levels.u, runs, place)

    def _update(self, state: _BookState, message: _Message, update_id: int, runs: LevelRuns, place: int) -> None:
        bids, asks, end = int(runs.bids[place]), int(runs.asks[place]), int(runs.ends[place])
        sides = tuple((runs.prices[a:b].tolist(), runs.sizes[a:b].tolist()) for a, b in ((bids, asks), (asks, end)))
        if message.kind == "snapshot" or update_id == 1:
            state.book.load(*sides)
        elif state.last is None:
            self.log.add(FaultKind.UNSYNCED, message.line, f"a delta of {message.topic} without a snapshot before it")
            return
        elif update_id != state.last + 1:
            self.log.add(FaultKind.GAP, message.line, f"{message.topic}: u {update_id} follows u {state.last}")
            self.gaps.add(state.last_slot, message.slot, GapReason.SEQUENCE)
            state.last = None
            return
        else:
            state.book.update(*sides)
        state.last, state.last_slot = update_id, message.slot
        best = state.book.best()
        if best != state.best:
            state.best = best
            state.quotes.append((message.slot, message.event_ns, *best))
        if not message.topic.startswith("orderbook.1."):
            state.depth_slots.append((message.slot, message.event_ns))
            state.depth_rows.append(state.book.row())

    def sorted_counts(self) -> dict[str, int]:
        """Return the counts of messages by type, the most frequent first."""
        return dict(sorted(self.counts.items(), key=lambda item: (-item[1], item[0])))

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    # -- the end ----------------------------------------------------------------------------------------------
    def quote_rows(self) -> Rows:
        """Return the quotes of the shallowest book that has any."""
        rows = Rows(StreamKind.QUOTE)
        state = next((self.books[depth] for depth in sorted(self.books) if self.books[depth].quotes), None)
        if state is not None:
            table = np.array(state.quotes, np.int64)
            fields = {name: table[:, place] for place, name in enumerate(("bid", "bid_lots", "ask", "ask_lots"), 2)}
            rows.add(table[:, 0], table[:, 1], fields)
        return rows

    def depth_rows(self) -> Rows:
        """Return the best levels of the deepest book that has any."""
        rows = Rows(StreamKind.DEPTH)
        depth = max((depth for depth, state in self.books.items() if state.depth_rows), default=0)
        if depth:
            places = np.array(self.books[depth].depth_slots, np.int64)
            table = np.array(self.books[depth].depth_rows, np.int64).reshape(-1, 4, DEPTH_LEVELS)
            fields = {"bids": table[:, 0], "bid_lots": table[:, 1], "asks": -table[:, 2], "ask_lots": table[:, 3]}
            rows.add(places[:, 0], places[:, 1], fields)
        return rows


def import_bybit_ws(path: Path, target: Target, *, progress: Progress | None = None) -> ImportResult:
    """Import a recording of Bybit's V5 public websocket.

    Raises TapeError for a file of another protocol (that of before V5 among them) or without a message of the symbol.
    """
    found = detect(path)
    if target.venue not in _MARKETS:
        raise UsageError(f"{path}: a Bybit recording cannot be imported as {target.venue}; allowed are --market linear and --market spot")
    if found.format not in (None, Format.BYBIT_WS):
        raise TapeError(f"{path}: is a {found.format} file, not {Format.BYBIT_WS}; import it with --format {found.format}")
    log = FaultLog(path.name)
    recording = Recording(path, log, progress)
    state = BybitRecording(target.symbol, found.layout, log)
    for block in recording.blocks():
        state.feed(block)
    return _finish(path, target, state, recording)


def _finish(path: Path, target: Target, state: BybitRecording, recording: Recording) -> ImportResult:
    log = state.log
    times = state.timeline.close(log)
    tables = [rows.join() for rows in (state.quote_rows(), state.depth_rows(), state.marks, state.interest) if rows.count]
    if state.trades.count:
        tables.append(check_ids(state.trades.join(), times, None, log))
    if not tables:
        held = ", ".join(f"{count} {name}" for name, count in state.sorted_counts().items()) or "nothing"
        raise TapeError(f"{path}: no market data of {target.symbol}; found {held}; check --symbol")
    done = assemble(target, times, tables, state.gaps, log, recording.truncated)
    source = Source(
        file=path.name,
        format=Format.BYBIT_WS,
        size=recording.size,
        sha256=recording.sha256,
        instrument=done.instrument.id,
        lines=recording.line_count,
        messages=state.sorted_counts(),
        rows=rows_by_kind(done.raw),
        faults=log.faults,
        clock=times.clock,
        silences=done.silences,
        notes=(*done.notes, *_notes(state)),
    )
    return ImportResult(instrument=done.instrument, grid=done.grid, raw=done.raw, source=source, recorded=True)


def _notes(state: BybitRecording) -> list[str]:
    notes = []
    if state.unstamped:
        notes.append(f"{state.unstamped} messages have no receive time: their ts stands in")
    if state.block_trades:
        notes.append(f"{state.block_trades} block trades, made outside the order book, are among the trades")
    if state.funding_information:
        notes.append(f"{state.funding_information} tickers tell the next funding rate; settlements are imported from funding files")
    if len(state.books) > 1:
        notes.append(f"order books of depth {', '.join(map(str, sorted(state.books)))}: quotes from the shallowest, depth rows from the deepest")
    return notes
