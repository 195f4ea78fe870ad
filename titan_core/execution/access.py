"""Where an account's sockets are and who we are there."""

from attrs import field, frozen


@frozen(kw_only=True)
class Access:
    """`socket_url` is what the venue's account says it is: for Bybit the part before `/v5/private`, for MEXC all of it."""

    socket_url: str
    key: str = field(repr=False)
    secret: bytes = field(repr=False)
