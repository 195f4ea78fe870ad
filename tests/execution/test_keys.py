"""What a venue says of a key, asked of a venue in a box over sockets, and what is made of it."""

import asyncio

import pytest

from titan_core.errors import Unreadable, VenueUnavailable
from titan_core.execution.bybit import keys as bybit
from titan_core.execution.mexc import keys as mexc
from titan_core.execution.secrets.keystore import ApiKey, KeyFacts
from titan_core.execution.secrets.secret import Secret
from titan_core.feed.hosts import HostRefused

pytest.importorskip("ccxt", reason="the extra `live` is not installed")
import time  # noqa: E402

from titan_core.execution.key_door import KeyRefused  # noqa: E402
from titan_core.simulator.box import Box  # noqa: E402
from titan_core.simulator.clock import RealClock  # noqa: E402
from titan_core.simulator.faults import FaultKind, Rule  # noqa: E402
from titan_core.simulator.server import BoxServer  # noqa: E402
from titan_core.simulator.wire import Credential  # noqa: E402

GOOD = Credential(key="good-key-0001", secret="good-secret-0001")
RICH = Credential(key="rich-key-0002", secret="rich-secret-0002", may_withdraw=True)
FREE = Credential(key="free-key-0003", secret="free-secret-0003", addresses=())
POOR = Credential(key="poor-key-0004", secret="poor-secret-0004", may_trade=False)
ASK = {"bybit": bybit.key_facts, "mexc": mexc.key_facts}


def api_key(venue, credential, facts=None):
    return ApiKey(venue, "main", Secret(credential.key), Secret(credential.secret), 1, facts)


def ask(venue, *credentials, faults=(), url=None):
    """Ask a box about several keys; return what it said or what went wrong."""

    async def main():
        now = time.time_ns()
        box = Box(1, ticks_per_day=200_000, start_ns=now, clock=RealClock(now), server_ns=time.time_ns, credentials=(GOOD, RICH, FREE, POOR), faults=faults)
        async with BoxServer(box) as server:
            asked = (ASK[venue](api_key(venue, each), simulator=url or server.url) for each in credentials)
            return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(main())


@pytest.mark.parametrize("venue", ["bybit", "mexc"])
def test_what_a_key_may_do_decides_whether_it_may_trade_live(venue):
    good, rich, free, poor = ask(venue, GOOD, RICH, FREE, POOR)
    assert (good.can_withdraw, good.ip_bound) == (False, True) and good.permissions
    assert api_key(venue, GOOD, good).live_refusals() == ()
    assert (rich.can_withdraw, free.ip_bound) == (True, False)
    (withdraws,), (unbound,) = (api_key(venue, GOOD, facts).live_refusals() for facts in (rich, free))
    assert "it may withdraw" in withdraws and "bound to no IP address" in unbound
    assert len(poor.permissions) < len(good.permissions) or "ReadOnly" in poor.permissions


@pytest.mark.parametrize("venue", ["bybit", "mexc"])
def test_a_key_that_the_venue_does_not_know_and_a_wrong_secret_are_said_so(venue):
    unknown, wrong = ask(venue, Credential(key="else-key-0005"), Credential(key=GOOD.key, secret="not the secret"))
    for error in (unknown, wrong):
        assert isinstance(error, KeyRefused) and "does not accept the key" in str(error)
        assert "not the secret" not in str(error)


@pytest.mark.parametrize("venue", ["bybit", "mexc"])
@pytest.mark.parametrize("kind", [FaultKind.EMPTY, FaultKind.HTML, FaultKind.DROP_ANSWER, FaultKind.STATUS])
def test_a_venue_that_says_nothing_has_not_said_that_the_key_is_good(venue, kind):
    (error,) = ask(venue, GOOD, faults=(Rule(kind=kind, venue=venue),))
    assert isinstance(error, VenueUnavailable) and GOOD.key not in str(error) and "signature" not in str(error)


@pytest.mark.parametrize("venue", ["bybit", "mexc"])
def test_the_machine_s_clock_is_named_where_it_is_wrong(venue):
    (error,) = ask(venue, GOOD, faults=(Rule(kind=FaultKind.CLOCK_STEP, venue=venue, seconds=60),))
    assert isinstance(error, KeyRefused) and "set this machine's clock" in str(error)


def test_nobody_else_is_asked():
    (error,) = ask("bybit", GOOD, url="http://192.0.2.1:80")
    assert isinstance(error, HostRefused)


# -- reading ----------------------------------------------------------------------------------------------------------
B = {"permissions": {"Wallet": [], "ContractTrade": ["Order"]}, "ips": ["192.0.2.1"], "readOnly": 0}
M = {"permissions": "CONTRACT_DEAL_WRITE,SPOT_ACCOUNT_READ", "ipWhiteList": "192.0.2.1,192.0.2.2", "status": "VALID"}


def test_bybit_s_answer():
    assert bybit.read_facts(B) == KeyFacts(("ContractTrade.Order",), False, True)
    assert bybit.read_facts(B | {"readOnly": 1}).permissions == ("ReadOnly", "ContractTrade.Order")
    assert bybit.read_facts(B | {"permissions": {"Wallet": ["AccountTransfer", "Withdraw"]}}).can_withdraw
    assert not bybit.read_facts(B | {"permissions": {"Wallet": ["AccountTransfer"]}}).can_withdraw


@pytest.mark.parametrize("ips", [[], ["*"], ["*", "192.0.2.1"], [""]])
def test_a_key_of_bybit_that_is_bound_to_nothing(ips):
    assert not bybit.read_facts(B | {"ips": ips}).ip_bound


@pytest.mark.parametrize("broken", [{"permissions": None}, {"permissions": {"Wallet": "Withdraw"}}, {"ips": None}, {"ips": "192.0.2.1"}, {"readOnly": None}])
def test_an_answer_of_bybit_s_that_leaves_anything_open_is_no_answer(broken):
    with pytest.raises(Unreadable):
        bybit.read_facts(B | broken)


def test_mexc_s_answer():
    assert mexc.read_facts(M) == KeyFacts(("CONTRACT_DEAL_WRITE", "SPOT_ACCOUNT_READ"), False, True)
    assert not mexc.read_facts(M | {"ipWhiteList": ""}).ip_bound and not mexc.read_facts(M | {"ipWhiteList": " , "}).ip_bound


@pytest.mark.parametrize(
    ("word", "may"),
    [("SPOT_WITHDRAW_WRITE", True), ("SPOT_WITHDRAW_W", True), ("SPOT_WITHDRAW", True), ("SPOT_WITHDRAW_READ", False), ("SPOT_WITHDRAW_R", False)],
)
def test_which_words_of_mexc_s_let_money_go(word, may):
    assert mexc.read_facts(M | {"permissions": f"CONTRACT_DEAL_READ, {word}"}).can_withdraw is may


@pytest.mark.parametrize("broken", [{"permissions": None}, {"permissions": []}, {"ipWhiteList": None}])
def test_an_answer_of_mexc_s_that_leaves_anything_open_is_no_answer(broken):
    with pytest.raises(Unreadable):
        mexc.read_facts(M | broken)


def test_a_key_of_mexc_s_that_has_run_out():
    with pytest.raises(KeyRefused, match="'EXPIRED'; make a new one"):
        mexc.read_facts(M | {"status": "EXPIRED"})
