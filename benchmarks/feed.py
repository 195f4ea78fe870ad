"""How fast a feed takes in what a venue pushes: the recorded messages of Binance Spot through real loopback websockets, in turn and again.

One server pushes the same frames at full speed to one client process after the other: Titan's feed over `websockets` and over `picows`, ccxt.pro's
`watch_trades`, `watch_bids_asks` and `watch_order_book`, and cryptofeed with its own connection and handlers. Each handles every message, keeps the book from
the same snapshot, and must end with the same best prices. The clock runs in the client, from its first message to its last. Rates are messages per second of
the client's CPU time, kernel included, medians over all runs: the server and whatever else runs share the machine. Rates by the wall clock stand beside them.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import _harness as harness
from benchmarks._harness import Bar, PeerEnvironment, PeerUnavailable, Say, Verdict, Worker
from benchmarks.ingest import FOLDER, RECORDINGS, REQUIREMENTS
from titan_core.errors import TapeError

COMMAND = "python -m benchmarks feed"
WEBSOCKETS, PICOWS, CCXT, CRYPTOFEED = "titan over websockets", "titan over picows", "ccxt.pro", "cryptofeed"
BARS = (
    Bar(f"{WEBSOCKETS}, against {CCXT}", 4),
    Bar(f"{WEBSOCKETS}, against {CRYPTOFEED}", 1.3),
    Bar(f"{PICOWS}, against {CCXT}", 10),
)
JUDGED = ((WEBSOCKETS, CCXT), (WEBSOCKETS, CRYPTOFEED), (PICOWS, CCXT))
HERE = Path(__file__).resolve().parent
MESSAGES = 41_248
ROWS = {"quote": 28_040, "trade": 9_757, "depth": 3_449}
"""What Titan makes of them: one row each, but for two differences that are older than the snapshot."""
CLIENTS = {WEBSOCKETS: "websockets", PICOWS: "picows"}
LEFT_OUT = {"picows": PICOWS, "ccxt": CCXT, "cryptofeed": CRYPTOFEED}


def commands(port: str, out: Path, say: Say) -> dict[str, Callable[[], list[str]]]:
    """Return how each client is started; what has to be installed first is installed when it is asked for."""
    scripts = HERE / "peers"
    found: dict[str, Callable[[], list[str]]] = {
        name: lambda client=client: [sys.executable, str(scripts / "titan_feed.py"), client, port, str(sum(ROWS.values()))]  # type: ignore[misc]
        for name, client in CLIENTS.items()
    }
    found[CCXT] = lambda: [sys.executable, str(scripts / "ccxt_feed.py"), port, str(MESSAGES)]

    def cryptofeed() -> list[str]:
        python = PeerEnvironment(out / "venv-cryptofeed", say).ensure(CRYPTOFEED, REQUIREMENTS)
        return [str(python), str(scripts / "cryptofeed_feed.py"), port, str(MESSAGES)]

    found[CRYPTOFEED] = cryptofeed
    return found


def measure(recording: Path, repetitions: int, without: Sequence[str], out: Path, say: Say) -> dict[str, Any]:
    """Run the comparison and return its record. Raises TapeError where the recording is not at hand."""
    if not recording.is_file():
        raise TapeError(f"no recording {recording}; it is real market data that is not part of the repository, give its folder with --recordings")
    machine = harness.machine()
    failures: dict[str, str] = {}
    versions: dict[str, str] = {}
    workers: dict[str, Worker] = {}
    with ExitStack() as stack:
        say("laying out the frames")
        server = stack.enter_context(Worker("server", [sys.executable, str(HERE / "_feed_server.py"), str(recording)], out / "feed-server.log"))
        for name, command in commands(str(server.ready["port"]), out, say).items():
            if name in without:
                continue
            try:
                say(f"starting {name}")
                workers[name] = stack.enter_context(Worker(name, command(), out / f"feed-{name.replace(' ', '-')}.log", timeout_s=300))
                versions[name] = ", ".join(workers[name].ready["versions"].values())
            except PeerUnavailable as error:
                failures[name] = str(error)
                say(str(error))
        results, dropped = harness.interleave({name: partial(run, worker) for name, worker in workers.items()}, repetitions, say)
    clients = [client_record(name, answers, versions[name]) for name, answers in results.items()]
    rates = {client["client"]: client["messages_per_cpu_s"] for client in clients}
    verdicts = [Verdict(bar, harness.ratio(rates, *pair)) for bar, pair in zip(BARS, JUDGED, strict=True)]
    wrong = disagreements(results)
    return {
        "benchmark": "feed",
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "recording": recording.name,
        "messages": MESSAGES,
        "repetitions": repetitions,
        "clients": clients,
        "disagreements": wrong,
        "bars": [verdict.record() for verdict in verdicts],
        "not_measured": failures | dropped,
        "ok": not wrong and all(verdict.met is not False for verdict in verdicts),
    }


def run(worker: Worker) -> list[dict[str, Any]]:
    """Ask a client for one run."""
    return [worker.run()]


def client_record(name: str, answers: Sequence[Mapping[str, Any]], version: str) -> dict[str, Any]:
    """Sum up all runs of one client."""
    cpu_s, wall_s = (harness.middle(answer[clock] for answer in answers) for clock in ("cpu_s", "wall_s"))
    return {
        "client": name,
        "version": version,
        "runs": len(answers),
        "cpu_s": cpu_s,
        "wall_s": wall_s,
        "messages_per_cpu_s": MESSAGES / cpu_s,
        "messages_per_s": MESSAGES / wall_s,
        "cpu_us_per_message": cpu_s / MESSAGES * 1e6,
        "rss_mb": max(answer["rss_mb"] for answer in answers),
        "rows": answers[-1]["rows"],
        "top": answers[-1]["top"],
    }


def disagreements(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Return what differs between clients that should not: best prices at the end, rows of Titan, faults."""
    tops = {tuple(answer["top"]) for answers in results.values() for answer in answers}
    wrong = [f"the clients end with different best prices: {sorted(tops)}"] if len(tops) > 1 else []
    for name, answers in results.items():
        for answer in answers:
            if name in CLIENTS and answer["rows"] != ROWS:
                wrong.append(f"{name}: rows {answer['rows']}, there should be {ROWS}")
            wrong += [f"{name}: {fault}" for fault in answer["faults"]]
    return wrong


def show(record: Mapping[str, Any], console: Console) -> None:
    """Print the tables of a record."""
    clients = sorted(record["clients"], key=lambda client: -float(client["messages_per_cpu_s"]))
    peers = [client for client in clients if client["client"] in (CCXT, CRYPTOFEED)]

    def row(client: Mapping[str, Any]) -> tuple[str, ...]:
        ratios = [f"{client['messages_per_cpu_s'] / peer['messages_per_cpu_s']:.2f}" for peer in peers]
        walls = [f"{client['messages_per_s'] / peer['messages_per_s']:.2f}" for peer in peers]
        figures = (f"{client['cpu_us_per_message']:.2f}", f"{client['messages_per_cpu_s'] / 1e3:,.0f}", f"{client['messages_per_s'] / 1e3:,.0f}")
        return (
            f"{client['client']} {client['version']}",
            *figures,
            *(f"{cpu} ({wall})" for cpu, wall in zip(ratios, walls, strict=True)),
            f"{client['rss_mb']:.0f}",
        )

    head = ("client", ">CPU us/msg", ">k msg/CPU s", ">k msg/s", *(f">x {peer['client']}" for peer in peers), ">RSS MB")
    caption = f"Ratios of CPU time, in brackets of wall time; {record['repetitions']} runs each. {harness.machine_line(record['machine'])}"
    console.print(harness.table(f"{record['messages']:,} messages of {record['recording']} pushed through loopback", head, map(row, clients), caption))
    for client in clients:
        rows = ", ".join(f"{count:,} {kind}" for kind, count in client["rows"].items())
        console.print(f"{client['client']}: {rows}; ends with bid {client['top'][0]}, ask {client['top'][1]}", markup=False)
    console.print(harness.verdict_table(map(harness.verdict_of, record["bars"])))
    for text in record["disagreements"]:
        console.print(f"WRONG: {text}", markup=False)
    for name, reason in record["not_measured"].items():
        console.print(f"not measured: {name}: {reason}", markup=False)


def parser() -> argparse.ArgumentParser:
    """Return the command line of this benchmark."""
    parse = argparse.ArgumentParser(prog=COMMAND, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--recordings", type=Path, default=FOLDER, help="folder of the recording (default: the shared market data beside the checkout)")
    parse.add_argument("--repetitions", type=int, default=9, help="how often each client runs (default 9)")
    parse.add_argument("--without", action="append", default=[], choices=list(LEFT_OUT), help="leave one out")
    parse.add_argument("--out", type=Path, default=harness.OUT, help="folder for cryptofeed's environment and the results (default benchmarks/out)")
    parse.add_argument("--json", action="store_true", help="print the record instead of the tables")
    return parse


def main(argv: Sequence[str]) -> int:
    """Measure, print, write `feed.json`. Returns 1 where a bar was missed or the clients disagree."""
    given = parser().parse_args(argv)
    file, without = given.recordings / RECORDINGS["spot"], [LEFT_OUT[name] for name in given.without]
    return harness.carry_out("feed", given, lambda say: measure(file, given.repetitions, without, given.out, say), show)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
