"""The guard as a process: `python -m titan_core.app.guard`, started by a session and by nobody else; all that it is told comes through its standard input."""

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

import msgspec

from titan_core.app.guard.accounts import make_account
from titan_core.app.guard.duty import GuardDuty
from titan_core.app.guard.lock import take_lock
from titan_core.app.guard.page import SharedPage
from titan_core.app.guard.words import LONGEST_LINE, Order, Report, ToGuard
from titan_core.errors import TitanError
from titan_core.execution.secrets.process import install

MOST_UNSENT = 1 << 16
REPEAT_S = 5.0


class Log:
    """Writes lines to standard error, which leads into `guard.log`; one that comes again and again is written now and then."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def __call__(self, text: str) -> None:
        """Write a line."""
        now = time.monotonic()
        if now - self._last.get(text, -REPEAT_S) < REPEAT_S:
            return
        self._last = {each: at for each, at in self._last.items() if now - at < REPEAT_S} | {text: now}
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        sys.stderr.write(f"{moment} [{os.getpid()}] {text}\n")
        sys.stderr.flush()


async def guard() -> None:
    """Be a guard until the session has ended."""
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=0), limit=LONGEST_LINE)
    line = await reader.readline()
    if not line.endswith(b"\n"):
        return  # the session has ended before it said anything
    order = msgspec.json.decode(line, type=Order)
    install([word for account in order.accounts for word in (account.key, account.secret)])
    say = Log()

    def tell(report: Report) -> None:
        # a session that hangs reads nothing; what it has to know it sees at the gate and in the latch
        if writer.transport.get_write_buffer_size() < MOST_UNSENT and not writer.transport.is_closing():
            writer.write(msgspec.json.encode(report) + b"\n")

    lock = take_lock(Path(order.folder), order.session_pid, order.session_mark)
    accounts = [make_account(account, order.timeout_s) for account in order.accounts]
    duty = GuardDuty(order, accounts, SharedPage(order.page_fd), tell, say)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, duty.ask_to_go)
    listening = asyncio.get_running_loop().create_task(_listen(reader, duty))
    try:
        await duty.run()
    finally:
        listening.cancel()
        for account in accounts:
            await account.close()
        os.close(lock.fd)
        say("ended")


async def _listen(reader: asyncio.StreamReader, duty: GuardDuty) -> None:
    decoder: msgspec.json.Decoder[ToGuard] = msgspec.json.Decoder(ToGuard)
    try:
        while (line := await reader.readline()).endswith(b"\n"):
            duty.hear(decoder.decode(line))
    except ConnectionError:
        pass  # it was killed with words of ours unread
    duty.session_ended()


def main() -> int:
    """Run; returns the exit code."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C is for the session; the guard ends when it has
    try:
        asyncio.run(guard())
    except TitanError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
