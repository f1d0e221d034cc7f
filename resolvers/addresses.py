"""The address given with a request; the services take the default one when there is none."""

from app.rules.orders import Address
from schema.common import AddressInput


def address_of(given: AddressInput | None) -> Address | None:
    if given is None:
        return None
    return Address(
        name=given.receiver,
        phone=given.phone,
        province=given.province,
        city=given.city,
        street=given.street,
    )
