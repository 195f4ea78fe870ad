"""Our order ids in the 32 characters that MEXC allows for `externalOid`, and back. Pure, without memory, so that a new process reads what an old one wrote.

An id of fewer than 32 characters is written as it is, with dashes for its dots: letters, digits, `_` and `-` are what all of MEXC's documents agree on. A
longer one is packed: 36 characters out of 39 are fewer possibilities than 32 out of 64.
"""

import re

from titan_core.errors import UsageError
from titan_core.execution.reports import NOT_OURS
from titan_core.model.ids import MAX_ORDER_ID_CHARS, ClientOrderId

MAX_EXTERNAL_CHARS = 32
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789._-"
_BASE = len(_ALPHABET) + 1
"""One more than there are letters: 0 stands behind the end."""
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_PLAIN = re.compile(r"[A-Za-z0-9_.]+")
_VENUES_OWN = ("_m_", "stoporder_")
"""How ids begin that the venue gives: to orders without one, and to what its stops place."""
STOPS_OWN = "stoporder_"


def external_id(client_order_id: ClientOrderId) -> str:
    """Write an id for the venue. Raises UsageError for one that cannot be written so that it can be read again."""
    if len(client_order_id) < MAX_EXTERNAL_CHARS and _PLAIN.fullmatch(client_order_id) and not client_order_id.startswith(_VENUES_OWN):
        return client_order_id.replace(".", "-")
    if not client_order_id or len(client_order_id) > MAX_ORDER_ID_CHARS or not set(client_order_id) <= set(_ALPHABET):
        raise UsageError(
            f"mexc: order id {client_order_id!r} cannot be written in the {MAX_EXTERNAL_CHARS} characters that the venue allows; "
            f"names of phases and strategies may have small letters, digits, '_' and '-', and an id {MAX_ORDER_ID_CHARS} characters"
        )
    number = 0
    for letter in client_order_id.ljust(MAX_ORDER_ID_CHARS, "\0"):
        number = number * _BASE + (0 if letter == "\0" else _ALPHABET.index(letter) + 1)
    return "".join(_DIGITS[number >> 6 * place & 63] for place in reversed(range(MAX_EXTERNAL_CHARS)))


def client_id(external: str) -> ClientOrderId:
    """Read an id that the venue shows. What the venue itself placed is nobody's; what another program placed has an id that no order of ours has."""
    if not external or external.startswith(_VENUES_OWN):
        return NOT_OURS
    if len(external) < MAX_EXTERNAL_CHARS:
        return ClientOrderId(external.replace("-", "."))
    return ClientOrderId(_unpacked(external) or external)


def _unpacked(external: str) -> str:
    if len(external) != MAX_EXTERNAL_CHARS or not set(external) <= set(_DIGITS):
        return ""
    number = 0
    for digit in external:
        number = number << 6 | _DIGITS.index(digit)
    letters = []
    for _ in range(MAX_ORDER_ID_CHARS):
        number, rest = divmod(number, _BASE)
        letters.append(_ALPHABET[rest - 1] if rest else "\0")
    text = "".join(reversed(letters)).rstrip("\0")
    return "" if number or "\0" in text else text
