"""Binance websocket recordings, spot and USD-M: one file becomes quotes, trades, depth and mark prices of one instrument.

Order is the file's order and time its receive time; where the recorder wrote none, the venue's event time stands in. A message of a symbol that was not
asked for is counted and left out. Buyer is maker (`m` true) means the taker sold: negative lots.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from titan_core.errors import TapeError, UsageError
from titan_core.tape.catalog import normal_symbol
from titan_core.tape.faults import FaultKind, FaultLog
from titan_core.tape.importers.assemble import assemble, rows_by_kind
from titan_core.tape.importers.binance_files import array_as_lines, read_trades_csv
from titan_core.tape.importers.binance_rows import BinanceRows, Places
from titan_core.tape.importers.decimals import Ints, is_time, times_to_ns
from titan_core.tape.importers.depth import Differences
from titan_core.tape.importers.detect import Detected, Format, Layout, detect
from titan_core.tape.importers.fast import Scanned, Scanner, load_kernels
from titan_core.tape.importers.framing import frame, is_stamp
from titan_core.tape.importers.lines import Block, Progress, Recording, preview
from titan_core.tape.importers.messages import Envelope, Whole
from titan_core.tape.importers.rows import GapRows, Timeline
from titan_core.tape.importers.sequence import check_ids
from titan_core.tape.importers.target import ImportResult, Target
from titan_core.tape.manifest import Source

SNAPSHOT = "REST depth snapshot"
OTHER = "other symbols"
BAD = "bad line"

_BY_EVENT = {"depthUpdate": "depth", "markPriceUpdate": "markPrice"}
_USED = ("bookTicker", "trade", "aggTrade", "markPrice", "forceOrder")
_UNUSED = ("kline", "continuousKline", "ticker", "miniTicker", "24hrTicker", "24hrMiniTicker", "avgPrice", "depth5", "depth10", "depth20")


class _Times(msgspec.Struct, gc=False):
    E: Whole = 0
    T: Whole = 0


class _Timed(msgspec.Struct, gc=False):
    data: _Times = msgspec.field(default_factory=_Times)
    E: Whole = 0
    T: Whole = 0


@define(eq=False)
class _Channel:
    """The messages of one stream name within the block being read, by line. `use` is what they become, empty where nothing."""

    name: str
    use: str
    ours: bool
    lines: list[int] = field(factory=list)
    payloads: list[bytes] = field(factory=list)


@define(eq=False)
class BinanceRecording:
    """The state of one import: sorts the lines into channels and hands them on, block by block."""

    symbol: str
    layout: Layout
    rows: BinanceRows
    counts: dict[str, int] = field(factory=dict, init=False)
    _by_key: dict[bytes, _Channel] = field(factory=dict, init=False)
    _by_stream: dict[tuple[str, str], _Channel] = field(factory=dict, init=False)
    unstamped: int = field(default=0, init=False)
    """Messages without a receive time."""
    _last_event: int = field(default=0, init=False)
    _scanner: Scanner | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        if self.rows.kernels is not None and self.layout is Layout.STAMPED:
            self._scanner = Scanner(self.rows.kernels)

    def feed(self, block: Block) -> None:
        """Take the next lines."""
        if self._scanner is None:
            accepted, receive = np.zeros(block.count, np.bool_), np.zeros(block.count, np.int64)
            self._sort(enumerate(block.lines), block.first, accepted, receive)
            self._hand_on(_Lines.of(block.first, self.rows.timeline, accepted, receive), None)
            return
        scanned = self._scanner.scan(block.data)
        block.counted(len(scanned.kinds))
        accepted, receive = scanned.kinds != self._scanner.kernels.ODD, scanned.receive
        odd = np.flatnonzero(~accepted).tolist()
        self._sort(((line, block.data[scanned.starts[line] : scanned.ends[line]]) for line in odd), block.first, accepted, receive)
        self._hand_on(_Lines.of(block.first, self.rows.timeline, accepted, receive), scanned)

    def _sort(self, lines: Iterable[tuple[int, bytes]], first: int, accepted: NDArray[np.bool_], receive: Ints) -> None:
        """Put each line into its channel, and note the lines that hold a message with the time of each."""
        known = self._by_key
        places: list[int] = []
        times: list[int] = []
        for place, line in lines:
            space = line.find(b" ")
            stamp = line[:space]
            channel = known.get(line[space + 1 : line.find(b'"data"', space, space + 96)])
            if channel is not None and is_stamp(stamp):
                times.append(int(stamp))
                channel.payloads.append(line[space + 1 :])
            else:
                met = self._meet(line, first + place)
                if met is None:
                    continue
                channel, payload, time = met
                times.append(time)
                channel.payloads.append(payload)
            places.append(place)
            channel.lines.append(place)
        accepted[places] = True
        receive[places] = times

    def _hand_on(self, lines: "_Lines", scanned: Scanned | None) -> None:
        depth = self._hand_on_scanned(lines, scanned) if scanned is not None else None
        ours: dict[str, tuple[list[bytes], list[int]]] = {}
        busy = [channel for channel in self._by_stream.values() if channel.lines]
        for channel in busy:
            self._count_channel(channel, len(channel.lines))
            if channel.ours and channel.use == "unknown":
                text = f"stream {channel.name} is of a type that is not known: {preview(channel.payloads[0])}"
                self.rows.log.add(FaultKind.UNKNOWN_MESSAGE, lines.first + channel.lines[0], text, len(channel.lines))
            elif channel.ours and channel.use:
                payloads, places = ours.setdefault(channel.use, ([], []))
                payloads += channel.payloads
                places += channel.lines
        found = {use: lines.ordered(payloads, places) for use, (payloads, places) in ours.items()}
        for use in _USED:
            if use in found:
                self.rows.take(use, *found[use])
        if "depth" in found:
            decoded = self.rows.read_depth(*found["depth"])
            depth = decoded.merged(depth) if depth is not None else decoded
        if depth is not None or SNAPSHOT in found:
            self.rows.take_depth(depth, *found.get(SNAPSHOT, lines.ordered([], [])))
        for number in self.rows.malformed:
            self._count(next(channel.name for channel in busy if number - lines.first in channel.lines), -1)
            self._count(BAD)
        self.rows.malformed.clear()
        for channel in busy:
            channel.lines.clear()
            channel.payloads.clear()

    def _hand_on_scanned(self, lines: "_Lines", scanned: Scanned) -> Differences | None:
        kernels = self.rows.kernels
        assert kernels is not None
        good = scanned.kinds != kernels.ODD
        ours = np.zeros(len(scanned.streams) + 1, np.bool_)
        for number, stream in enumerate(scanned.streams):
            symbol, _, suffix = stream.partition("@")
            channel = self._channel(suffix, symbol)
            ours[number] = channel.ours
            self._count_channel(channel, int(np.count_nonzero(good & (scanned.numbers == number))))
        mine = good & ours[scanned.numbers]
        picked = {}
        for kind in (kernels.QUOTE, kernels.TRADE, kernels.AGG_TRADE, kernels.DEPTH):
            places = np.flatnonzero(mine & (scanned.kinds == kind))
            if len(places):
                picked[kind] = places, lines.at(places)
        return self.rows.take_scanned(scanned, picked)

    def _count_channel(self, channel: _Channel, count: int) -> None:
        self._count(channel.name, count)
        if not channel.ours:
            self._count(OTHER, count)

    def _meet(self, line: bytes, number: int) -> tuple[_Channel, bytes, int] | None:
        """Find out what a line is that no known stream name fits; None where it holds no message with a time."""
        framed = frame(line, self.layout)
        if framed.note:
            self._count(framed.note)
            if framed.note == BAD:
                self.rows.log.add(FaultKind.BAD_LINE, number, preview(line))
            return None
        try:
            envelope = msgspec.json.decode(framed.payload, type=Envelope)
        except msgspec.MsgspecError as error:
            self.rows.log.add(FaultKind.BAD_LINE, number, f"{error}: {preview(framed.payload)}")
            if framed.receive:
                return self._channel(BAD, self.symbol), framed.payload, framed.receive
            self._count(BAD)
            return None
        found = self._classify(envelope, framed.payload, framed.url, number)
        if found is None:
            return None
        channel, payload = found
        if envelope.stream and self.layout is Layout.STAMPED:
            start = line.find(b" ") + 1
            end = line.find(b'"data"', start, start + 96)
            if end > 0 and line[start:end].startswith(b'{"stream":'):
                self._by_key[line[start:end]] = channel
        if framed.receive:
            return channel, payload, framed.receive
        self.unstamped += 1
        return channel, payload, self._event_time(framed.payload)

    def _classify(self, envelope: Envelope, payload: bytes, url: bytes, number: int) -> tuple[_Channel, bytes] | None:
        if envelope.topic or envelope.channel:
            raise TapeError(f"{self.rows.log.file}: line {number} is not a Binance message: {preview(payload)}; allowed are Binance combined or raw streams")
        if envelope.stream:
            symbol, _, suffix = envelope.stream.partition("@")
            return self._channel(suffix, symbol), payload
        if envelope.lastUpdateId:
            symbol = url.partition(b"symbol=")[2].partition(b"&")[0].decode("ascii", "replace") or self.symbol
            return self._channel(SNAPSHOT, symbol), payload
        wrapped = b'{"data":' + payload + b"}"
        if envelope.e:
            return self._channel(_BY_EVENT.get(envelope.e, envelope.e), envelope.s or self.symbol), wrapped
        if envelope.u and envelope.B is not None:
            return self._channel("bookTicker", envelope.s), wrapped
        if envelope.id is not msgspec.UNSET or envelope.result is not msgspec.UNSET:
            self._count("acknowledgement")
            return None
        self._count("unknown")
        self.rows.log.add(FaultKind.UNKNOWN_MESSAGE, number, preview(payload))
        return None

    def _channel(self, suffix: str, symbol: str) -> _Channel:
        key = suffix, normal_symbol(symbol)
        if key not in self._by_stream:
            base = suffix.partition("@")[0]
            known = base in _USED or base in ("depth", SNAPSHOT)
            use = base if known else "" if base.partition("_")[0] in _UNUSED or suffix == BAD else "unknown"
            self._by_stream[key] = _Channel(suffix, use, key[1] == self.symbol)
        return self._by_stream[key]

    def _event_time(self, payload: bytes) -> int:
        """Return the venue's time of a message without a receive time, or the time before where it has none."""
        try:
            message = msgspec.json.decode(payload, type=_Timed)
        except msgspec.MsgspecError:
            return self._last_event
        times = (message.data.E, message.E, message.data.T, message.T, self._last_event)
        self._last_event = next((time for time in times if is_time(time)), 0)
        return self._last_event

    def sorted_counts(self) -> dict[str, int]:
        """Return the counts of messages by type, the most frequent first."""
        return dict(sorted(((name, count) for name, count in self.counts.items() if count), key=lambda item: (-item[1], item[0])))

    def _count(self, name: str, count: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + count


@frozen(eq=False)
class _Lines:
    """The lines of a block: the slot and receive time of each that holds a message."""

    first: int
    slots: Ints
    receive: Ints

    @classmethod
    def of(cls, first: int, timeline: Timeline, accepted: NDArray[np.bool_], receive: Ints) -> "_Lines":
        """Give each accepted line its slot."""
        receive_ns = times_to_ns(receive)
        base = timeline.extend(receive_ns[accepted], first + np.flatnonzero(accepted))
        return cls(first, base + np.cumsum(accepted) - 1, receive_ns)

    def at(self, places: Ints) -> Places:
        """Return where the lines stand."""
        return Places(self.slots[places], self.first + places, self.receive[places])

    def ordered(self, payloads: list[bytes], places: list[int]) -> tuple[list[bytes], Places]:
        """Return payloads of several streams in the order of their lines."""
        order = np.argsort(np.array(places, np.int64), kind="stable")
        return [payloads[place] for place in order.tolist()], self.at(np.array(places, np.int64)[order])


def import_binance_ws(path: Path, target: Target, *, progress: Progress | None = None, compiled: bool | None = None) -> ImportResult:
    """Import a recording of Binance's websocket: combined or raw streams, with or without receive times, or cryptofeed's layout.

    `compiled` chooses the compiled or the plain form of the hot loops; by default what pays. The result is the same.
    Raises TapeError for a file of another protocol or market or without a message of the symbol.
    """
    found = detect(path)
    _check_market(path, target, found)
    return read_recording(Recording(path, FaultLog(path.name), progress), target, found.layout, compiled)


def read_recording(recording: Recording, target: Target, layout: Layout, compiled: bool | None = None) -> ImportResult:
    """Read a recording that is known to be one of Binance. Raises TapeError where it has no message of the symbol."""
    rows = BinanceRows(target.venue == "binance-usdm", recording.log, Timeline(), GapRows(), load_kernels(recording.path, compiled))
    state = BinanceRecording(target.symbol, layout, rows)
    if layout is Layout.TRADES_CSV:
        state.counts = read_trades_csv(recording.path, target, recording, rows)
    else:
        for block in [array_as_lines(recording.path, recording)] if layout is Layout.ARRAY else recording.blocks():
            state.feed(block)
    return _finish(recording.path, target, state, recording)


def _check_market(path: Path, target: Target, found: Detected) -> None:
    market = {"binance-spot": "spot", "binance-usdm": "usdm"}.get(target.venue)
    if market is None:
        raise UsageError(f"{path}: a Binance recording cannot be imported as {target.venue}; allowed are --market spot and --market usdm")
    if found.format not in (None, Format.BINANCE_WS):
        raise TapeError(f"{path}: is a {found.format} file, not {Format.BINANCE_WS}; import it with --format {found.format}")
    if found.market not in (None, market):
        raise TapeError(f"{path}: its messages are those of Binance {found.market}, not {market}; import it with --market {found.market}")


def _finish(path: Path, target: Target, state: BinanceRecording, recording: Recording) -> ImportResult:
    rows, log = state.rows, state.rows.log
    rows.depth.finish()
    times = rows.timeline.close(log)
    tables = [r.join() for r in (rows.quotes, rows.depth.rows, rows.marks, rows.liquidations) if r.count]
    if rows.trades.count or rows.agg_trades.count:
        tables.append(check_ids((rows.trades if rows.trades.count else rows.agg_trades).join(), times, rows.gaps, log))
    if not tables:
        held = ", ".join(f"{count} {name}" for name, count in state.sorted_counts().items()) or "nothing"
        raise TapeError(f"{path}: no market data of {target.symbol}; found {held}; check --symbol")
    done = assemble(target, times, tables, rows.gaps, log, recording.truncated)
    source = Source(
        file=path.name,
        format=Format.BINANCE_WS,
        size=recording.size,
        sha256=recording.sha256,
        instrument=done.instrument.id,
        lines=recording.line_count,
        messages=state.sorted_counts(),
        rows=rows_by_kind(done.raw),
        faults=log.faults,
        clock=times.clock if state.unstamped < rows.timeline.slots else times.clock.without_latency(),
        silences=done.silences,
        notes=(*done.notes, *_notes(state)),
    )
    return ImportResult(instrument=done.instrument, grid=done.grid, raw=done.raw, source=source, recorded=True)


def _notes(state: BinanceRecording) -> list[str]:
    rows, notes = state.rows, []
    if state.unstamped:
        notes.append(f"{state.unstamped} messages have no receive time: the venue's event time stands in")
    if rows.trades.count and rows.agg_trades.count:
        notes.append("the file has trade and aggTrade: aggTrade is counted but not used, it repeats the trades")
    if rows.off_market:
        notes.append("trades not from the order book: " + ", ".join(f"{x} {n}" for x, n in sorted(rows.off_market.items())))
    if rows.funding_information:
        notes.append(f"{rows.funding_information} mark price messages tell the next funding rate; settlements are imported from funding files")
    return notes
