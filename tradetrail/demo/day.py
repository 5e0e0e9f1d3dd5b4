"""The made-up day itself: people log on, watch prices, trade, and log off.

    order.new ─> execution New ─┬─> fills ─────────────> done
                     │          ├─> cancel_request ────> execution Canceled (or cancel_reject)
                     │          └─> replace_request ───> execution Replaced ─> fills
                     └─> execution Rejected

A queue ordered by time holds what happens next; each step may put further steps into it. The same
seed, number of users and start give the same bytes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tradetrail.demo.chance import Chance
from tradetrail.demo.events import DemoEvent, EventWriter, price_text
from tradetrail.demo.people import Instrument, Person, people
from tradetrail.event import (
    EXECUTION_REPORT,
    MARKETDATA_REQUEST,
    ORDER_CANCEL_REJECT,
    ORDER_CANCEL_REQUEST,
    ORDER_NEW,
    ORDER_REPLACE_REQUEST,
    SESSION_LOGOFF,
    SESSION_LOGON,
)

__all__ = ["DAY_S", "DemoEvent", "trading_day"]

#: Half past nine to four.
DAY_S = 6.5 * 3600

#: Users log on within the first minutes and off within the last.
_LOGON_S = 240.0
_CLOSING_S = 300.0
#: Nobody begins an order so late that its life would not fit.
_LAST_ORDER_S = DAY_S - _CLOSING_S - 120.0
#: What is still open then comes to its end at once.
_LAST_CHANGE_S = DAY_S - _CLOSING_S - 60.0


def trading_day(seed: int, users: int, start_ns: int) -> Iterator[DemoEvent]:
    """The events of one day in order of time.

    Args:
        seed: of all chance.
        users: how many people trade; at least 1.
        start_ns: begin of the day, nanoseconds since 1970 UTC; part of the events' ``source``, so
            that days that begin at different moments are different events.
    """
    return _Day(seed, users, start_ns).play()


@dataclass
class _Order:
    """An order that lives. Quantities in units, the price in ticks."""

    person: Person
    instrument: Instrument
    side: str
    quantity: int
    price_ticks: int
    order_id: str
    cl_ord_id: str
    #: Quantity that is filled so far.
    filled: int = 0
    #: Sum of fill quantity times fill price, for the average.
    filled_value: int = 0
    #: Set once the order can change no more.
    done: bool = False
    on_behalf_of: str = ""
    orig_cl_ord_id: str = field(default="")


class _Day:
    """The queue of what happens next, and the writer of what happens."""

    def __init__(self, seed: int, users: int, start_ns: int) -> None:
        self._chance = Chance(f"{seed}/day")
        self._writer = EventWriter(f"urn:tradetrail:demo:{seed}:{start_ns}", start_ns)
        self._queue: list[tuple[float, int, Callable[[float], DemoEvent]]] = []
        #: Tells steps of the same moment apart, in the order in which they were put.
        self._puts = 0
        self._orders = 0
        self._executions = 0
        for person in people(Chance(f"{seed}/people"), users):
            self._put(self._chance.between(0.0, _LOGON_S), self._logon(person))

    def play(self) -> Iterator[DemoEvent]:
        while self._queue:
            offset_s, _, step = heapq.heappop(self._queue)
            yield step(offset_s)

    def _put(self, offset_s: float, step: Callable[[float], DemoEvent]) -> None:
        self._puts += 1
        heapq.heappush(self._queue, (offset_s, self._puts, step))

    def _logon(self, person: Person) -> Callable[[float], DemoEvent]:
        def step(now_s: float) -> DemoEvent:
            for instrument in dict.fromkeys(person.instruments):
                self._put(now_s + self._chance.wait_s(20.0), self._watch(person, instrument))
            self._put_next_order(person, now_s)
            end_s = DAY_S - self._chance.between(0.0, _CLOSING_S)
            self._put(end_s, self._logoff(person))
            data = {"SenderSubID": person.session, "HeartBtInt": "30", "EncryptMethod": "0"}
            return self._writer.write(now_s, person, SESSION_LOGON, data)

        return step

    def _logoff(self, person: Person) -> Callable[[float], DemoEvent]:
        data = {"SenderSubID": person.session, "Text": "end of day"}
        return lambda now_s: self._writer.write(now_s, person, SESSION_LOGOFF, data)

    def _watch(self, person: Person, instrument: Instrument) -> Callable[[float], DemoEvent]:
        data = {
            "MDReqID": f"MD-{person.account}-{instrument.symbol}",
            "SubscriptionRequestType": "1",
            "MarketDepth": self._chance.pick(("1", "5", "10")),
            "NoMDEntryTypes": [{"MDEntryType": "0"}, {"MDEntryType": "1"}],
            "NoRelatedSym": [
                {"Symbol": instrument.symbol, "SecurityExchange": instrument.exchange}
            ],
        }
        return lambda now_s: self._writer.write(now_s, person, MARKETDATA_REQUEST, data)

    def _put_next_order(self, person: Person, now_s: float) -> None:
        # Markets are busy after the opening and before the close.
        middle = 1.0 - abs(now_s / DAY_S - 0.5) * 2.0
        next_s = now_s + self._chance.wait_s(person.order_gap_s * (0.6 + 0.8 * middle))
        if next_s < _LAST_ORDER_S:
            self._put(next_s, self._new_order(person))

    def _new_order(self, person: Person) -> Callable[[float], DemoEvent]:
        def step(now_s: float) -> DemoEvent:
            order = self._draw_order(person)
            market = self._chance.happens(0.15)
            if self._chance.happens(0.04):
                self._put(now_s + self._venue_s(), self._rejected(order))
            else:
                self._put(now_s + self._venue_s(), self._acknowledged(order, market))
            self._put_next_order(person, now_s)
            data = self._order_data(order)
            data["OrdType"] = "1" if market else "2"
            if market:
                del data["Price"]
            data["TimeInForce"] = self._chance.pick(("0", "0", "0", "1", "3"))
            data["SecurityExchange"] = order.instrument.exchange
            data["Currency"] = order.instrument.currency
            return self._by_client(now_s, order, ORDER_NEW, data)

        return step

    def _draw_order(self, person: Person) -> _Order:
        instrument = self._chance.pick(person.instruments)
        spread_ticks = max(2, instrument.price_ticks // 400)
        price_ticks = instrument.price_ticks + self._chance.below(2 * spread_ticks) - spread_ticks
        self._orders += 1
        acts_for = person.principal if self._chance.happens(0.5) else ""
        return _Order(
            person=person,
            instrument=instrument,
            side=self._chance.pick(("1", "2", "1", "2", "5")),
            quantity=instrument.lot * (1 + self._chance.below(20)),
            price_ticks=price_ticks,
            order_id=f"O{self._orders:09d}",
            cl_ord_id=f"{person.account}-{self._orders:06d}-1",
            on_behalf_of=acts_for,
        )

    def _acknowledged(self, order: _Order, market: bool) -> Callable[[float], DemoEvent]:
        def step(now_s: float) -> DemoEvent:
            self._put_future(order, now_s, market)
            return self._execution(now_s, order, "0", "0")

        return step

    def _put_future(self, order: _Order, now_s: float, market: bool) -> None:
        """Decides what becomes of an order that the venue has taken."""
        if market or self._chance.happens(0.55):
            first_s = self._venue_s() if market else self._chance.wait_s(40.0)
            self._put_bounded(now_s, first_s, self._filled(order))
        elif self._chance.happens(0.45):
            self._put_bounded(now_s, self._chance.wait_s(60.0), self._replace(order))
        else:
            self._put_bounded(now_s, self._chance.wait_s(90.0), self._cancel(order))

    def _put_bounded(
        self, now_s: float, after_s: float, step: Callable[[float], DemoEvent]
    ) -> None:
        """Puts a step so long after now, but before the users begin to log off."""
        self._put(max(now_s + self._venue_s(), min(now_s + after_s, _LAST_CHANGE_S)), step)

    def _filled(self, order: _Order) -> Callable[[float], DemoEvent]:
        def step(now_s: float) -> DemoEvent:
            left = order.quantity - order.filled
            lots = left // order.instrument.lot
            whole = lots <= 1 or self._chance.happens(0.5)
            quantity = left if whole else order.instrument.lot * (1 + self._chance.below(lots - 1))
            order.filled += quantity
            order.filled_value += quantity * order.price_ticks
            if order.filled < order.quantity:
                self._put_bounded(now_s, self._chance.wait_s(15.0), self._filled(order))
                return self._execution(now_s, order, "F", "1", last=quantity)
            order.done = True
            return self._execution(now_s, order, "F", "2", last=quantity)

        return step

    def _rejected(self, order: _Order) -> Callable[[float], DemoEvent]:
        reason = self._chance.pick(("order exceeds limit", "market closed", "stale price"))

        def step(now_s: float) -> DemoEvent:
            order.done = True
            return self._execution(now_s, order, "8", "8", text=reason)

        return step

    def _cancel(self, order: _Order) -> Callable[[float], DemoEvent]:
        def step(now_s: float) -> DemoEvent:
            old = self._renumber(order)
            too_late = self._chance.happens(0.05)
            answer = self._cancel_rejected(order, old) if too_late else self._cancelled(order)
            self._put(now_s + self._venue_s(), answer)
            data = self._order_data(order)
            del data["Price"]
            return self._by_client(now_s, order, ORDER_CANCEL_REQUEST, data)

        return step

    def _cancelled(self, order: _Order) -> Callable[[float], DemoEvent]:
        def step(now_s: float) -> DemoEvent:
            order.done = True
            return self._execution(now_s, order, "4", "4")

        return step

    def _cancel_rejected(self, order: _Order, old: str) -> Callable[[float], DemoEvent]:
        def step(now_s: float) -> DemoEvent:
            data: dict[str, object] = {
                "OrderID": order.order_id,
                "ClOrdID": order.cl_ord_id,
                "OrigClOrdID": old,
                "OrdStatus": "0",
                "CxlRejResponseTo": "1",
                "CxlRejReason": "0",
                "Account": order.person.account,
                "Text": "too late to cancel",
            }
            # The order lives on under the id it had before.
            order.cl_ord_id, order.orig_cl_ord_id = old, ""
            self._put_bounded(now_s, 0.0, self._filled(order))
            return self._by_venue(now_s, order, ORDER_CANCEL_REJECT, data)

        return step

    def _replace(self, order: _Order) -> Callable[[float], DemoEvent]:
        def step(now_s: float) -> DemoEvent:
            self._renumber(order)
            order.price_ticks += 1 if order.side == "1" else -1
            self._put(now_s + self._venue_s(), self._replaced(order))
            data = self._order_data(order)
            data["OrdType"] = "2"
            return self._by_client(now_s, order, ORDER_REPLACE_REQUEST, data)

        return step

    def _replaced(self, order: _Order) -> Callable[[float], DemoEvent]:
        def step(now_s: float) -> DemoEvent:
            self._put_future(order, now_s, market=False)
            return self._execution(now_s, order, "5", "0")

        return step

    def _renumber(self, order: _Order) -> str:
        """Gives the order its chain's next ``ClOrdID``; returns the one before."""
        old = order.cl_ord_id
        stem, _, number = old.rpartition("-")
        order.cl_ord_id = f"{stem}-{int(number) + 1}"
        order.orig_cl_ord_id = old
        return old

    def _venue_s(self) -> float:
        """How long the venue takes to answer."""
        return 0.001 + self._chance.wait_s(0.02)

    def _order_data(self, order: _Order) -> dict[str, object]:
        data: dict[str, object] = {"ClOrdID": order.cl_ord_id}
        if order.orig_cl_ord_id:
            data["OrigClOrdID"] = order.orig_cl_ord_id
        data["Account"] = order.person.account
        data["Symbol"] = order.instrument.symbol
        data["Side"] = order.side
        data["OrderQty"] = str(order.quantity)
        data["Price"] = price_text(order.instrument, order.price_ticks)
        return data

    def _execution(
        self,
        now_s: float,
        order: _Order,
        exec_type: str,
        order_status: str,
        *,
        last: int = 0,
        text: str = "",
    ) -> DemoEvent:
        self._executions += 1
        data: dict[str, object] = {
            "OrderID": order.order_id,
            "ExecID": f"E{self._executions:09d}",
            "ExecType": exec_type,
            "OrdStatus": order_status,
            **self._order_data(order),
        }
        if last:
            data["LastQty"] = str(last)
            data["LastPx"] = price_text(order.instrument, order.price_ticks)
        data["LeavesQty"] = str(0 if order.done else order.quantity - order.filled)
        data["CumQty"] = str(order.filled)
        if order.filled:
            average_ticks = order.filled_value // order.filled
            data["AvgPx"] = price_text(order.instrument, average_ticks)
        if text:
            data["Text"] = text
        return self._by_venue(now_s, order, EXECUTION_REPORT, data)

    def _by_client(
        self, now_s: float, order: _Order, type_name: str, data: dict[str, object]
    ) -> DemoEvent:
        return self._writer.write(
            now_s, order.person, type_name, data, on_behalf_of=order.on_behalf_of
        )

    def _by_venue(
        self, now_s: float, order: _Order, type_name: str, data: dict[str, object]
    ) -> DemoEvent:
        return self._writer.write(
            now_s,
            order.person,
            type_name,
            data,
            initiator="venue",
            on_behalf_of=order.on_behalf_of,
        )
