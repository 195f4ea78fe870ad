"""The gate before a venue's client, and the page that it looks at."""

import os
import subprocess
import sys
import time
from typing import Any

from titan_core.app.guard.gate import GatedClient
from titan_core.app.guard.page import SharedPage
from titan_core.execution.outcomes import Outcome
from titan_core.execution.reports import Answer
from titan_core.model.ids import ClientOrderId, PhaseId, StrategyId
from titan_core.model.order import Approved, Intent

from .parts import PERP


class Sender:
    def __init__(self) -> None:
        self.sent: list[Approved] = []

    def place(self, approved: Approved, answered: Any) -> None:
        self.sent.append(approved)
        answered(Answer(Outcome.ACCEPTED))


def order(*, reduce_only: bool) -> Approved:
    intent = Intent(
        client_order_id=ClientOrderId("p.s.1"), phase=PhaseId("p"), strategy=StrategyId("s"), instrument=PERP, signed_lots=1, reduce_only=reduce_only
    )
    return Approved(intent, 1, ())


def test_a_shut_gate_refuses_what_could_open_and_lets_out_what_reduces() -> None:
    page, sender, answers, entered = SharedPage.make(), Sender(), list[Answer](), list[int]()
    client = GatedClient(sender, lambda: page.is_open, lambda: "why", lambda: entered.append(len(sender.sent)))  # type: ignore[arg-type]
    client.place(order(reduce_only=False), answers.append)
    assert sender.sent == [] and answers[0].outcome is Outcome.REJECTED and "why" in answers[0].message
    client.place(order(reduce_only=True), answers.append)
    page.open()
    client.place(order(reduce_only=False), answers.append)
    assert [each.intent.reduce_only for each in sender.sent] == [True, False]
    assert entered == [2], "told of what could open, behind the sending"
    page.close()


def test_another_process_shuts_the_gate_of_this_one() -> None:
    page = SharedPage.make()
    page.open()
    shut = f"from titan_core.app.guard.page import SharedPage; SharedPage({page.fd}).shut()"
    subprocess.run([sys.executable, "-c", shut], pass_fds=[page.fd], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, check=True)
    assert not page.is_open
    page.close()


def test_looking_at_the_gate_costs_less_than_a_microsecond() -> None:
    page, rounds = SharedPage.make(), 20_000
    page.open()
    best = min(_timed(page, rounds) for _ in range(5))
    assert best / rounds < 1_000, f"{best / rounds:.0f} ns a look"
    page.close()


def _timed(page: SharedPage, rounds: int) -> int:
    began = time.perf_counter_ns()
    for _ in range(rounds):
        page.is_open  # noqa: B018 - the look is what is timed
    return time.perf_counter_ns() - began
