"""Binance messages of one instrument to rows, many of one type at a time."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, TypeVar

import msgspec
import numpy as np
from attrs import define, field, frozen

from titan_core.model.enums import StreamKind
from titan_core.tape.faults import FaultKind, FaultLog
from titan_core.tape.importers.book import Book, CompiledBook, LevelRuns
from titan_core.tape.importers.decimals import PRICE_DECIMALS, SIZE_DECIMALS, Ints, read_numbers, times_to_ns
from titan_core.tape.importers.depth import BinanceDepth, Differences
from titan_core.tape.importers.fast import Scanned
from titan_core.tape.importers.lines import preview
from titan_core.tape.importers.messages import (
    AggTrade,
    BookTicker,
    DepthSnapshot,
    DepthUpdate,
    ForceOrder,
    Frame,
    MarkUpdate,
    TradeMessage,
    envelope_error,
    read_levels,
)
from titan_core.tape.importers.rows import GapRows, Rows, Timeline, readable

_SCALES = {"bid": PRICE_DECIMALS, "ask": PRICE_DECIMALS, "price": PRICE_DECIMALS, "index": PRICE_DECIMALS}

T = TypeVar("T")


@frozen(eq=False)
class Places:
    """Where some messages stand: slot, line and receive time of each."""

    slots: Ints
    lines: Ints
    receive: Ints

    def pick(self, keep: Any) -> "Places":
        """Return the places that are marked."""
        return Places(self.slots[keep], self.lines[keep], self.receive[keep])


@define(eq=False)
class BinanceRows:
    """The rows of one instrument's streams, and the account of what was special."""

    usdm: bool
    log: FaultLog
    timeline: Timeline
    gaps: GapRows
    kernels: ModuleType | None = None
    depth: BinanceDepth = field(init=False)
    quotes: Rows = field(factory=lambda: Rows(StreamKind.QUOTE), init=False)
    trades: Rows = field(factory=lambda: Rows(StreamKind.TRADE), init=False)
    agg_trades: Rows = field(factory=lambda: Rows(StreamKind.TRADE), init=False)
    marks: Rows = field(factory=lambda: Rows(StreamKind.MARK), init=False)
    liquidations: Rows = field(factory=lambda: Rows(StreamKind.LIQUIDATION), init=False)
    off_market: dict[str, int] = field(factory=dict, init=False)
    """Trades by `X` where that is not MARKET."""
    funding_information: int = field(default=0, init=False)
    """Mark price messages that tell the next funding rate and its time."""
    malformed: list[int] = field(factory=list, init=False)
    """Lines whose message turned out to be no JSON at all."""
    _decoders: dict[type, Any] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.depth = BinanceDepth(self.usdm, self.log, self.gaps, CompiledBook(self.kernels) if self.kernels else Book())

    def take(self, kind: str, payloads: Sequence[bytes], at: Places) -> None:
        """Turn messages of one kind into rows."""
        {
            "bookTicker": self._quotes,
            "trade": self._trades,
            "aggTrade": self._agg_trades,
            "markPrice": self._marks,
            "forceOrder": self._liquidations,
        }[kind](payloads, at)

    def take_scanned(self, scanned: Scanned, picked: Mapping[int, tuple[Ints, Places]]) -> Differences | None:
        """Turn scanned lines into rows: for each kind of line, which lines and where they stand. Depth messages are returned, in their order."""
        k = self.kernels
        assert k is not None
        sides = {k.QUOTE: ("bid", "ask", "bid_lots", "ask_lots"), k.TRADE: ("price", "signed_lots"), k.AGG_TRADE: ("price", "signed_lots")}
        for kind, rows in ((k.QUOTE, self.quotes), (k.TRADE, self.trades), (k.AGG_TRADE, self.agg_trades)):
            if kind not in picked:
                continue
            lines, at = picked[kind]
            events = self._events(scanned.fields[lines, k.TRANSACTION], scanned.fields[lines, k.EVENT], at)
            fields = {name: scanned.fields[lines, k.V0 + place] for place, name in enumerate(sides[kind])}
            if kind != k.QUOTE:
                fields["signed_lots"] = np.where(scanned.fields[lines, k.FLAG] != 0, -fields["signed_lots"], fields["signed_lots"])
                fields["id"] = scanned.fields[lines, k.ID]
            rows.add(at.slots, events, fields)
        if k.DEPTH not in picked:
            return None
        lines, at = picked[k.DEPTH]
        of = np.ascontiguousarray(scanned.fields[lines].T)
        events = self._events(of[k.TRANSACTION], of[k.EVENT], at)
        runs = LevelRuns(of[k.LEVELS_FROM], of[k.BIDS_TO], of[k.ASKS_TO], scanned.prices, scanned.sizes)
        return Differences(at.slots, at.lines, events, of[k.ID], of[k.ID_LAST], of[k.ID_BEFORE], runs)

    def read_depth(self, payloads: Sequence[bytes], at: Places) -> Differences:
        """Decode depth messages."""
        messages, at = self._decode(DepthUpdate[msgspec.Raw], payloads, at)
        events = self._events([m.T for m in messages], [m.E for m in messages], at)
        runs, bad = read_levels([bytes(m.b) for m in messages], [bytes(m.a) for m in messages])
        for place in bad:
            text = f"depth levels cannot be read: {preview(bytes(messages[place].b))} {preview(bytes(messages[place].a))}"
            self.log.add(FaultKind.BAD_LINE, int(at.lines[place]), text)
        first, last, previous = (np.array([getattr(m, name) for m in messages], np.int64) for name in ("U", "u", "pu"))
        return Differences(at.slots, at.lines, events, first, last, previous, runs)

    def take_depth(self, messages: Differences | None, snapshots: Sequence[bytes], at: Places) -> None:
        """Apply differences and snapshots in the order of their slots."""
        done = 0
        for slot, line, payload in zip(at.slots.tolist(), at.lines.tolist(), snapshots, strict=True):
            if messages is not None:
                before = int(np.searchsorted(messages.slots, slot))
                self.depth.differences(messages, done, before)
                done = before
            self._snapshot(slot, line, payload)
        if messages is not None:
            self.depth.differences(messages, done, len(messages.slots))

    def _snapshot(self, slot: int, line: int, payload: bytes) -> None:
        try:
            message = msgspec.json.decode(payload, type=DepthSnapshot[msgspec.Raw])
        except msgspec.MsgspecError as error:
            self.log.add(FaultKind.BAD_LINE, line, f"{error}: {preview(payload)}")
            return
        runs, bad = read_levels([bytes(message.bids)], [bytes(message.asks)])
        if bad:
            self.log.add(FaultKind.BAD_LINE, line, f"levels of the depth snapshot cannot be read: {preview(payload)}")
            return
        prices, sizes, middle = runs.prices.tolist(), runs.sizes.tolist(), int(runs.asks[0])
        self.depth.snapshot(slot, message.lastUpdateId, (prices[:middle], sizes[:middle]), (prices[middle:], sizes[middle:]))

    def _events(self, transactions: Sequence[int] | Ints, sent: Sequence[int] | Ints, at: Places) -> Ints:
        """Return the venue's time of each message: of the transaction, else when it was sent, which is what the clock is compared with."""
        done, event = (times_to_ns(np.array(times, np.int64)) for times in (transactions, sent))
        self.timeline.compare(at.receive, event)
        return np.where(done > 0, done, event)

    def _quotes(self, payloads: Sequence[bytes], at: Places) -> None:
        messages, at = self._decode(BookTicker, payloads, at)
        tokens = {"bid": [m.b for m in messages], "ask": [m.a for m in messages], "bid_lots": [m.B for m in messages], "ask_lots": [m.A for m in messages]}
        events = self._events([m.T for m in messages], [m.E for m in messages], at)
        self._add(self.quotes, tokens, at, events)

    def _trades(self, payloads: Sequence[bytes], at: Places) -> None:
        messages, at = self._decode(TradeMessage, payloads, at)
        for message in messages:
            if message.X != "MARKET":
                self.off_market[message.X] = self.off_market.get(message.X, 0) + 1
        self._prints(self.trades, messages, [m.t for m in messages], at)

    def _agg_trades(self, payloads: Sequence[bytes], at: Places) -> None:
        messages, at = self._decode(AggTrade, payloads, at)
        self._prints(self.agg_trades, messages, [m.a for m in messages], at)

    def _prints(self, rows: Rows, messages: Sequence[TradeMessage] | Sequence[AggTrade], ids: Sequence[int], at: Places) -> None:
        events = self._events([m.T for m in messages], [m.E for m in messages], at)
        signs = np.where([m.m for m in messages], -1, 1).astype(np.int64)
        tokens = {"price": [m.p for m in messages], "signed_lots": [m.q for m in messages]}
        self._add(rows, tokens, at, events, {"signed_lots": signs}, {"id": np.array(ids, np.int64)})

    def _marks(self, payloads: Sequence[bytes], at: Places) -> None:
        messages, at = self._decode(MarkUpdate, payloads, at)
        events = self._events([0] * len(messages), [m.E for m in messages], at)
        self.funding_information += sum(1 for m in messages if m.T and m.r)
        self._add(self.marks, {"price": [m.p for m in messages], "index": [m.i or "0" for m in messages]}, at, events)

    def _liquidations(self, payloads: Sequence[bytes], at: Places) -> None:
        messages, at = self._decode(ForceOrder, payloads, at)
        events = self._events([m.o.T for m in messages], [m.E for m in messages], at)
        signs = np.array([1 if m.o.S == "BUY" else -1 for m in messages], np.int64)
        self._add(self.liquidations, {"price": [m.o.p for m in messages], "signed_lots": [m.o.z for m in messages]}, at, events, {"signed_lots": signs})

    def _add(
        self,
        rows: Rows,
        tokens: Mapping[str, list[str]],
        at: Places,
        events: Ints,
        signs: Mapping[str, Ints] | None = None,
        extra: Mapping[str, Ints] | None = None,
    ) -> None:
        values = {name: read_numbers(texts).fine(_SCALES.get(name, SIZE_DECIMALS)) for name, texts in tokens.items()}
        keep = readable(values, tokens, at.lines, self.log)
        fields = {name: fine for name, (fine, _) in values.items()} | dict(extra or {})
        for name, sign in (signs or {}).items():
            fields[name] = fields[name] * sign
        rows.add(at.slots[keep], events[keep], {name: fine[keep] for name, fine in fields.items()})

    def _decode(self, kind: type[T], payloads: Sequence[bytes], at: Places) -> tuple[list[T], Places]:
        """Decode all messages at once, or one by one where a broken one is among them: that one is reported and left out."""
        decoder = self._decoders.setdefault(kind, msgspec.json.Decoder(list[Frame[kind]]))  # type: ignore[valid-type]
        try:
            found = decoder.decode(b"[" + b",".join(payloads) + b"]")
            if len(found) == len(payloads):
                return [f.data for f in found], at
        except msgspec.MsgspecError:
            pass
        messages, good = [], []
        for place, payload in enumerate(payloads):
            try:
                (found,) = decoder.decode(b"[" + payload + b"]")
                messages.append(found.data)
                good.append(place)
            except (msgspec.MsgspecError, ValueError) as error:
                broken = envelope_error(payload)
                if broken is not None:
                    self.malformed.append(int(at.lines[place]))
                self.log.add(FaultKind.BAD_LINE, int(at.lines[place]), f"{broken or error}: {preview(payload)}")
        return messages, at.pick(np.array(good, np.int64))
