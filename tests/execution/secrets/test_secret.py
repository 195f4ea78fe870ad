"""A secret shows itself to nobody who did not ask for it by name."""

import copy
import json
import logging
import pickle
import pprint
import traceback

import msgspec
import pytest

from titan_core.execution.secrets.secret import SHOWN, Secret

VALUE = "correct-horse-battery"


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        "{}".format,
        "{!r}".format,
        "{:>60}".format,
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - the old way is a way
        lambda secret: f"{[secret]} { ({'k': secret}) }",
        pprint.pformat,
        ascii,
        lambda secret: str(dir(secret)),
    ],
)
def test_no_way_of_showing_it_shows_it(show: object) -> None:
    assert callable(show)
    assert VALUE not in show(Secret(VALUE))


def test_it_leaves_the_process_in_no_form() -> None:
    secret = Secret(VALUE)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps({"key": secret}, protocol)
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)
    with pytest.raises(TypeError):
        vars(secret)
    with pytest.raises(TypeError):
        secret.__getstate__()


def test_copies_are_the_same_secret_and_equality_is_by_value() -> None:
    secret = Secret(VALUE)
    assert copy.copy(secret) is secret and copy.deepcopy([secret])[0] is secret
    assert secret == Secret(VALUE) and secret != Secret("another") and secret != VALUE
    assert len({secret, Secret(VALUE)}) == 1
    assert secret.reveal() == VALUE and not Secret("")


def test_neither_a_log_nor_a_traceback_with_locals_shows_it(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(VALUE)
    logging.getLogger("titan").warning("key %s %r", secret, secret)
    assert SHOWN in caplog.text and VALUE not in caplog.text
    try:
        raise ValueError(secret)
    except ValueError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "secret = Secret" in shown and VALUE not in shown
