"""A value that shows itself to nobody who did not ask for it by name."""

import hmac
from typing import Any, NoReturn

SHOWN = "[redacted]"
"""What stands where a secret was."""


class Secret:
    """Text that no repr, format, pickle, copy of the state or JSON shows. `reveal` gives it; call it where it is sent, and keep it nowhere."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Return the value."""
        return self.__value

    def __repr__(self) -> str:
        return f"Secret({SHOWN})"

    def __str__(self) -> str:
        return SHOWN

    def __format__(self, spec: str) -> str:
        return SHOWN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.__value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self.__value))

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Secret":
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Secret cannot be pickled: it would leave the process in plain text; hand over what opens the keystore instead")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Secret has no state to show")
