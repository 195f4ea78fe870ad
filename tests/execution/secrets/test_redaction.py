"""No secret and no signature in any text that leaves the process: real libraries, real children."""

import asyncio
import base64
import json
import logging
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titan_core.execution.secrets.redaction import SHORTEST, RedactingFilter, RedactingFormatter, Redactor, guard_output
from titan_core.execution.secrets.secret import SHOWN, Secret

ROOT = Path(__file__).resolve().parents[3]
SECRET = "s3cr3t/With+Signs=and\"quotes'"
SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


@given(st.text(st.characters(codec="utf-8"), min_size=SHORTEST, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_a_registered_secret_is_in_no_text_in_any_form(value: str, before: str, after: str) -> None:
    redactor = Redactor([Secret(value)])
    encoded = base64.b64encode(value.encode()).decode()
    for form in (value, quote(value, safe=""), urlencode({"k": value})[2:], json.dumps(value)[1:-1], repr(value)[1:-1], encoded):
        shown = redactor.redact(f"{before}|{form}|{after}")
        assert form not in shown.replace(SHOWN, "") or form in f"{before}||{after}"
        assert redactor.holds_secret(f"{before}{form}{after}")


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://api.binance.com/api/v3/account?timestamp=1&signature={SIGNATURE} 400",
        "https://api.binance.com/x?signature=short&recvWindow=5000",
        "signature%3Dshort%26x",
        "X-BAPI-SIGN: short\r\nX-BAPI-TIMESTAMP: 1",
        "{'X-BAPI-SIGN': 'short', 'X-BAPI-TIMESTAMP': '1'}",
        "<CIMultiDict('X-BAPI-SIGN': 'short', 'x': 'y')>",
        "((b'X-BAPI-SIGN', b'short'), (b'Host', b'api.bybit.com'))",
        "{'ApiKey': 'short', 'Request-Time': '1', 'Signature': 'short'}",
        '{"op":"auth","args":["short",1700000000000,"short"]}',
        '{"args": ["short", 1700000000000, "short"], "op": "auth"}',
        '> TEXT \'{"req_id":"1","op":"auth","args":["short",17,"short"]}\' [70 bytes]',
        '"{\\"method\\":\\"login\\",\\"param\\":{\\"apiKey\\":\\"short\\",\\"signature\\":\\"short\\"}}"',
        "    sign = 'short'\n    password = 'short with blanks short'",
        "Authorization: Bearer short",
        "api_secret=short; apiSecret: short",
        "X-MBX-APIKEY: short",
    ],
)
def test_what_venues_call_a_signature_or_a_key_is_redacted_where_it_stands(text: str) -> None:
    shown = Redactor().redact(text)
    assert "short" not in shown and SIGNATURE not in shown and SHOWN in shown


@pytest.mark.parametrize(
    "text",
    [
        "design=5 signed_lots=-3 assigned: 4 keyboard: x sign",
        "X-BAPI-SIGN-TYPE: 2",
        "order hunter.main.1.2 filled 33 lots at 600000",
        '{"op":"subscribe","args":["orderbook.50.BTCUSDT"]}',
        "digest bd68eca4 of 0123456789abcdef0123456789abcdef",
        "sign: None",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor([SECRET]).redact(text) == text


@pytest.mark.parametrize(
    "frame",
    [
        f'> TEXT \'{{"op": "auth", "args": ["{SECRET[:6]}-key", 1700000000000, "{SIGNATURE}"]}}\'',
        f'> TEXT \'{{"op": "auth", "args": ["{SECRET[:6]}-key", 17...{SIGNATURE[-20:]}"]}}\' [133 bytes]',
        f'> TEXT \'{{"args": ["{SECRET[:6]}-key", 1700000000000, "{SIGNATURE[-20:]}"], "op": "auth"}}\'',
        f'> TEXT \'{{"method":"login","param":{{"apiKey":"{SECRET[:6]}-...{SIGNATURE[-20:]}"}}}}\' [170 bytes]',
    ],
)
def test_a_login_is_redacted_also_where_its_key_was_found_before_and_the_library_has_cut_it_short(frame: str) -> None:
    assert SIGNATURE[-20:] not in Redactor([f"{SECRET[:6]}-key"]).redact(frame)


def test_a_secret_that_cannot_be_told_from_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="6 characters or more"):
        Redactor(["abc"])


def through_handler(make: object, **options: object) -> str:
    """Log one record with everything that can carry a secret through a handler; return what it wrote."""
    import io

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.Logger("of its own", logging.DEBUG)
    logger.addHandler(handler)
    assert callable(make)
    make(handler)

    def deep(api_secret: str) -> None:
        raise ConnectionError(f"cannot GET https://api.binance.com/x?signature=short&k={quote(api_secret, safe='')}")

    try:
        deep(SECRET)
    except ConnectionError:
        logger.debug("sent %s to %s", {"X-BAPI-SIGN": "short"}, SECRET, exc_info=True, stack_info=True, extra={"headers": {"k": SECRET}, "url": "?sign=short"})
    logger.error("a bad %d format", SECRET)
    return stream.getvalue()


@pytest.mark.parametrize("how", ["filter", "formatter"])
def test_a_handler_writes_no_secret(how: str) -> None:
    redactor = Redactor([SECRET])

    def make(handler: logging.Handler) -> None:
        inner = logging.Formatter("%(message)s %(headers)s %(url)s", defaults={"headers": "", "url": ""})
        handler.setFormatter(RedactingFormatter(inner, redactor) if how == "formatter" else inner)
        if how == "filter":
            handler.addFilter(RedactingFilter(redactor))

    if how == "formatter":  # the standard handler would print a record that cannot be formatted to stderr by itself
        undo = guard_output(redactor)
    try:
        written = through_handler(make)
    finally:
        if how == "formatter":
            undo()
    assert "ConnectionError" in written and "cannot be formatted" in written and "Stack (most recent call last)" in written
    assert SECRET not in written and quote(SECRET, safe="") not in written and repr(SECRET)[1:-1] not in written and "short" not in written


CHILD = f"""
import asyncio, logging, sys, threading
sys.path.insert(0, {str(ROOT)!r})
from titan_core.execution.secrets.redaction import Redactor, guard_output
SECRET = {SECRET!r}
guard_output(Redactor([SECRET]))
logging.basicConfig(level=logging.DEBUG)

def boom(password):
    local = SECRET
    raise RuntimeError(f"https://x/?signature=short&k={{local}}")

async def task():
    boom("short")

class Late:
    def __del__(self):
        boom("short")

def main(how):
    if how == "main":
        boom("short")
    elif how == "thread":
        thread = threading.Thread(target=boom, args=("short",))
        thread.start()
        thread.join()
    elif how == "unraisable":
        Late()
    elif how == "task":
        async def scene():
            lost = asyncio.create_task(task())
            await asyncio.sleep(0)
            del lost
        asyncio.run(scene(), debug=True)
    elif how == "log":
        logging.getLogger("later").addHandler(logging.StreamHandler(sys.stdout))
        logging.getLogger("later").warning("%s", SECRET)

main(sys.argv[1])
"""


@pytest.mark.parametrize("how", ["main", "thread", "unraisable", "task", "log"])
def test_a_process_dies_without_saying_a_secret(how: str) -> None:
    done = subprocess.run([sys.executable, "-c", CHILD, how], capture_output=True, text=True, timeout=30)
    said = done.stdout + done.stderr
    assert SHOWN in said
    # the source lines of a traceback are not values; the text of the exception is
    assert SECRET not in said and "signature=short" not in said


def test_a_traceback_with_locals_shows_no_secret() -> None:
    redactor = Redactor([SECRET])

    def sign(api_secret: str, payload: str) -> None:
        headers = {"X-BAPI-SIGN": "short", "X-BAPI-API-KEY": "short"}
        signature = SIGNATURE
        raise ValueError(f"{payload} {len(headers)} {len(signature)}")

    try:
        sign(SECRET, f"secret={SECRET}")
    except ValueError as error:
        shown = redactor.traceback_of(error, show_locals=True)
    assert "headers = " in shown and "api_secret = " in shown
    assert SECRET not in shown and repr(SECRET)[1:-1] not in shown and SIGNATURE not in shown and "'short'" not in shown


def test_debug_logs_of_the_libraries_show_neither_key_nor_signature() -> None:
    """The clients that Titan uses, at DEBUG, against a server on this machine."""
    pytest.importorskip("websockets")
    import io

    from aiohttp import ClientSession, web
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import ServerConnection, serve

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    undo = guard_output(Redactor([SECRET]))
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="no", status=400)

    async def echo(connection: ServerConnection) -> None:
        await connection.send(await connection.recv())

    async def scene() -> None:
        app = web.Application()
        app.router.add_get("/x", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/x?signature={SIGNATURE}"
        async with ClientSession() as session, session.get(url, headers={"X-BAPI-SIGN": SIGNATURE, "X-BAPI-API-KEY": "short1234"}) as response:
            try:
                response.raise_for_status()
            except Exception:
                logging.getLogger("titan").exception("refused")
        await runner.cleanup()
        async with serve(echo, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}", proxy=None) as socket:
                await socket.send(json.dumps({"op": "auth", "args": ["short1234", 17, SIGNATURE]}))
                await socket.recv()

    try:
        asyncio.run(scene())
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        undo()
    written = stream.getvalue()
    assert "auth" in written and "refused" in written
    assert SIGNATURE not in written and SIGNATURE[:20] not in written and "short1234" not in written


def test_the_guard_can_be_taken_away() -> None:
    before = (logging.getLogRecordFactory(), sys.excepthook)
    guard_output(Redactor([SECRET]))()
    assert (logging.getLogRecordFactory(), sys.excepthook) == before
