"""Keeps a session's books in agreement with the venue's: positions, the stops that rest there, cash. The venue is right."""

from decimal import Decimal
from typing import TYPE_CHECKING

from titan_core.app.live.settling import CENT
from titan_core.engine.heard import Deposited
from titan_core.errors import Unreadable, VenueUnavailable
from titan_core.execution.reports import WalletReport
from titan_core.model.enums import OrderType
from titan_core.model.units import Money, to_usdt

if TYPE_CHECKING:
    from titan_core.app.live.session import Session


class Agreement:
    """Compares when it is asked to."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._corrections = self._cash_off = 0
        self._agreeing = False

    async def agree(self) -> None:
        """Compare our books with the venue's; what differs twice while nothing moved is corrected, because the venue is right."""
        if self._agreeing:
            return
        self._agreeing = True
        try:
            await self._agree()
        except (VenueUnavailable, Unreadable) as error:
            self._session.note("venue", f"reconciliation waits: {error}")
        finally:
            self._agreeing = False

    async def _agree(self) -> None:
        service = self._session.trading.service
        for _ in range(5):
            await service.poll()
            moved = self._fingerprint()
            held = {p.instrument: p for p in await self._session.reader.positions_twice()}
            wallet = await self._session.trading.client.wallet()
            await service.poll()
            if moved == self._fingerprint():
                break
        else:
            return  # it never stood still; the next look will be luckier
        agreed = True
        for k, instrument in enumerate(self._session.setup.instruments):
            if not instrument.is_perp or instrument.venue not in self._session.setup.order_venues:
                continue
            found, ours = held.get(instrument.id), self._session.engine.account.lots[k]
            theirs = found.signed_lots if found else 0
            if theirs != ours:
                agreed = False
                self._corrections += 1
                price = self._session.engine.value2(k) // 2 if ours else instrument.ticks_nearest(Decimal(found.entry_price)) if found else 0
                self._session.note("reconciliation", f"{instrument.id}: the venue holds {theirs} lots, the books had {ours}; corrected")
                self._session.hear(self._session.trading.corrected(found, instrument.id, ours, price, self._corrections))
            elif found is not None:
                known = self._session.engine.venue.protection.get(k)
                if known is not None and known.stop is not None and found.stop != known.stop:
                    agreed = False
                    self._session.note("reconciliation", f"{instrument.id}: the stop at the venue is {found.stop}, it should be {known.stop}; set again")
                    service.protect(instrument, known.stop, known.target)
        agreed = self._agree_cash(wallet) and agreed
        if agreed:
            self._session.watching.reconciled_ns = self._session.setup.clock()

    def _agree_cash(self, wallet: WalletReport) -> bool:
        difference = wallet.cash - self._session.view.wallet_cash(self._session.engine.account.cash)
        if abs(difference) < CENT:
            self._cash_off = 0
            return True
        if difference == self._cash_off:  # seen twice
            self._cash_off = 0
            self._session.hear(Deposited(amount=Money(difference), reason=f"the venue has {to_usdt(wallet.cash)} USDT"))
        else:
            self._cash_off = difference
        return False

    def _fingerprint(self) -> tuple[object, ...]:
        """What must not change while two pictures are compared."""
        account = self._session.engine.account
        working = tuple((o.client_order_id, o.leaves_lots) for o in self._session.engine.venue.working.values() if o.intent.order_type is OrderType.MARKET)
        resting = tuple((k, known.stop, known.target) for k, known in self._session.engine.venue.protection.items())
        return account.cash, tuple(account.lots), working, resting
