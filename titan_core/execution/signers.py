"""The ccxt objects that sign for us, one maker for whoever needs one: a session, its guard. They are led to an address and carry nothing by themselves."""

from collections.abc import Callable
from typing import Any

from titan_core.errors import TitanError


def make_signer(family: str, key: str, secret: str, rest_url: str, now_ns: Callable[[], int]) -> Any:
    """Return a ccxt.async_support exchange that signs with a key by the venue's clock. Raises TitanError for a venue without orders or without ccxt."""
    try:
        import ccxt.async_support as ccxt
    except ImportError:
        raise TitanError("orders need ccxt; install titan-core[live]") from None
    if family == "bybit":
        # said beforehand, so that it need not ask the venue which kind of account this is
        exchange = ccxt.bybit({"apiKey": key, "secret": secret, "options": {"enableUnifiedAccount": True, "enableUnifiedMargin": False}})
        exchange.urls["api"] = {name: rest_url for name in exchange.urls["api"]}
    elif family == "mexc":
        exchange = ccxt.mexc({"apiKey": key, "secret": secret, "options": {"defaultType": "swap"}})
        exchange.urls["api"]["contract"] = {"public": f"{rest_url}/api/v1/contract", "private": f"{rest_url}/api/v1/private"}
    else:
        raise TitanError(f"orders are sent to bybit and mexc, found an account at {family!r}")
    exchange.nonce = exchange.milliseconds = lambda: now_ns() // 1_000_000
    return exchange
