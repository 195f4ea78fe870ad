"""Our ids fit into MEXC's and are read again, whoever reads them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titan_core.errors import UsageError
from titan_core.execution.mexc.ids import client_id, external_id
from titan_core.execution.reports import NOT_OURS
from titan_core.model.ids import ClientOrderId

OURS = st.text("abcdefghijklmnopqrstuvwxyz0123456789._-", min_size=1, max_size=36).map(ClientOrderId)


@given(OURS)
def test_what_is_written_is_read_again(ident):
    external = external_id(ident)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,32}", external)
    assert client_id(external) == ident


@given(OURS, OURS)
def test_two_orders_never_have_the_same_id(first, second):
    assert (external_id(first) == external_id(second)) is (first == second)


def test_a_short_one_can_be_read_on_the_venue_s_page():
    assert external_id(ClientOrderId("hunter.sweep.12.3")) == "hunter-sweep-12-3"


@pytest.mark.parametrize("ident", ["", "a" * 37, "Ä.b.1", "a b", "A" * 33])
def test_what_cannot_be_written_is_said_so(ident):
    with pytest.raises(UsageError, match="cannot be written in the 32 characters"):
        external_id(ClientOrderId(ident))


@pytest.mark.parametrize("external", ["", "_m_95bc2b72d3784bce8f9efecbdef9fe35", "stoporder_STOP_LOSS_1469707401_17"])
def test_what_the_venue_places_is_nobody_s(external):
    assert client_id(external) == NOT_OURS


@given(st.text(max_size=40))
def test_any_text_can_be_read(external):
    assert isinstance(client_id(external), str)
