"""Carriers with the shape of their waybills, and the state of a parcel told by its trace."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ShipmentStatus(StrEnum):
    CREATED = "CREATED"
    PICKED_UP = "PICKED_UP"
    IN_TRANSIT = "IN_TRANSIT"
    OUT_FOR_DELIVERY = "OUT_FOR_DELIVERY"
    DELIVERED = "DELIVERED"
    EXCEPTION = "EXCEPTION"
    RETURNED = "RETURNED"


@dataclass(frozen=True, slots=True)
class Carrier:
    """`waybill` is the pattern of its numbers, `days` how long a parcel usually takes."""

    code: str
    name: str
    waybill: str
    days: int

    def accepts(self, waybill: str) -> bool:
        return re.fullmatch(self.waybill, waybill) is not None


CARRIERS = {
    carrier.code: carrier
    for carrier in (
        Carrier("SF", "顺丰速运", r"SF\d{12,13}", 2),
        Carrier("ZTO", "中通快递", r"7\d{13}", 3),
        Carrier("YTO", "圆通速递", r"YT\d{13}", 3),
        Carrier("STO", "申通快递", r"77\d{13}", 3),
        Carrier("YUNDA", "韵达快递", r"4\d{14}", 3),
        Carrier("JD", "京东物流", r"JD[A-Z0-9]{11,15}", 2),
        Carrier("EMS", "中国邮政", r"[A-Z]{2}\d{9}CN|1\d{12}", 4),
        Carrier("JTSD", "极兔速递", r"JT\d{13}", 4),
        Carrier("DBL", "德邦快递", r"DPK\d{12}", 4),
        Carrier("LLYS", "冷链优送", r"LL\d{12}", 2),
    )
}

_RANK = {
    ShipmentStatus.CREATED: 0,
    ShipmentStatus.PICKED_UP: 1,
    ShipmentStatus.IN_TRANSIT: 2,
    ShipmentStatus.OUT_FOR_DELIVERY: 3,
    ShipmentStatus.DELIVERED: 4,
    ShipmentStatus.RETURNED: 5,
}
_FINAL = (ShipmentStatus.DELIVERED, ShipmentStatus.RETURNED)


def status_of(trace: Iterable[tuple[datetime, str]]) -> ShipmentStatus:
    """Where a parcel is, told by all of its (time, code) events in whatever order they came.

    The furthest node counts, so that a late report of an earlier one moves nothing back. An
    exception counts while it is the newest event of a parcel that has not arrived.
    """
    events = sorted((at, ShipmentStatus(code)) for at, code in trace)
    reached = max(
        (code for _, code in events if code in _RANK),
        key=_RANK.__getitem__,
        default=ShipmentStatus.CREATED,
    )
    is_stuck = bool(events) and events[-1][1] is ShipmentStatus.EXCEPTION
    return ShipmentStatus.EXCEPTION if is_stuck and reached not in _FINAL else reached
