"""Sign-in by Alipay: alipay.system.oauth.token through its gateway, signed both ways with RSA2."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from app.clock import Clock
from app.errors import LoginRefused
from app.gateways.vendors import Vendor

URL = "https://openapi.alipay.com/gateway.do"
METHOD = "alipay.system.oauth.token"
ANSWER = "alipay_system_oauth_token_response"
ERROR = "error_response"
_ABOUT_THE_CODE = "isv.code-"  # isv.code-invalid and its like
_CHINA = timedelta(hours=8)


class BadKey(Exception):
    """A key file holds no RSA key of the kind that is wanted."""


@dataclass(frozen=True, slots=True)
class AlipayApp:
    """`private_key` is ours, `public_key` Alipay's own: not the one made from ours."""

    app_id: str
    private_key: rsa.RSAPrivateKey = field(repr=False)
    public_key: rsa.RSAPublicKey = field(repr=False)
    url: str = URL


class Alipay:
    """The access token that comes along is dropped here: nothing of ours needs it."""

    def __init__(self, app: AlipayApp, vendor: Vendor, clock: Clock) -> None:
        self._app, self._vendor, self._clock = app, vendor, clock

    async def open_id(self, code: str) -> str:
        """The `user_id`, or the `open_id` for apps that get no other.

        Raises LoginRefused, PlatformUnavailable.
        """
        form = self._form(code)
        body = await self._vendor.post(f"{self._app.url}?charset=utf-8", form)
        text = body.decode(errors="replace")
        refused = self._node(text, ERROR)
        answer = self._node(text, ANSWER)
        if refused is not None or answer is None or "sub_code" in answer[1]:
            raise self._refusal((refused or answer or ("", {}))[1])
        signed, told = answer
        if not self._is_theirs(signed, text):
            raise self._vendor.trouble("the signature of the answer is not Alipay's")
        open_id = told.get("user_id") or told.get("open_id")
        if not isinstance(open_id, str) or not open_id:
            raise self._vendor.trouble("the answer has no user_id")
        return open_id

    def _form(self, code: str) -> dict[str, str]:
        form = {
            "app_id": self._app.app_id,
            "method": METHOD,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": (self._clock() + _CHINA).strftime("%Y-%m-%d %H:%M:%S"),
            "version": "1.0",
            "grant_type": "authorization_code",
            "code": code,
        }
        signature = self._app.private_key.sign(
            to_sign(form).encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        return {**form, "sign": base64.b64encode(signature).decode()}

    def _refusal(self, told: Mapping[str, Any]) -> Exception:
        """An unsigned refusal is believed: it lets nobody in."""
        sub_code = str(told.get("sub_code", ""))
        if sub_code.startswith(_ABOUT_THE_CODE):
            return LoginRefused()
        return self._vendor.trouble(f"code {told.get('code')!r:.20} {sub_code:.60}")

    def _is_theirs(self, signed: str, text: str) -> bool:
        found = _value(text, "sign")
        try:
            signature = base64.b64decode(str(found and found[1]), validate=True)
            self._app.public_key.verify(
                signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except (binascii.Error, ValueError, InvalidSignature):
            return False
        return True

    @staticmethod
    def _node(text: str, name: str) -> tuple[str, dict[str, Any]] | None:
        found = _value(text, name)
        return found if found is not None and isinstance(found[1], dict) else None


def to_sign(form: Mapping[str, str]) -> str:
    """What is signed of a request: its parameters by name, empty ones and `sign` left out."""
    kept = {name: value for name, value in form.items() if name != "sign" and value}
    return "&".join(f"{name}={kept[name]}" for name in sorted(kept))


def private_key(text: str) -> rsa.RSAPrivateKey:
    """From PEM, or from the bare Base64 that Alipay's tool writes. Raises BadKey."""
    try:
        key = (
            serialization.load_pem_private_key(text.encode(), None)
            if "-----BEGIN" in text
            else serialization.load_der_private_key(base64.b64decode(text), None)
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKey from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise BadKey
    return key


def public_key(text: str) -> rsa.RSAPublicKey:
    """From PEM or bare Base64. Raises BadKey."""
    try:
        key = (
            serialization.load_pem_public_key(text.encode())
            if "-----BEGIN" in text
            else serialization.load_der_public_key(base64.b64decode(text))
        )
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise BadKey
    return key


def _value(text: str, name: str) -> tuple[str, Any] | None:
    """A member of the outermost JSON object: its text as it stands, and its value.

    The text is what is signed. None when there is no such member, or no object.
    """
    read = json.JSONDecoder().raw_decode
    place = _past(text, 0, "{")
    try:
        while place is not None:
            key, end = read(text, _skip(text, place))
            begin = _past(text, end, ":")
            if begin is None or not isinstance(key, str):
                return None
            begin = _skip(text, begin)
            value, end = read(text, begin)
            if key == name:
                return text[begin:end], value
            place = _past(text, end, ",")
    except (ValueError, RecursionError):
        return None
    return None


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def _past(text: str, place: int, sign: str) -> int | None:
    """The place behind `sign`, if that comes next."""
    place = _skip(text, place)
    return place + 1 if text.startswith(sign, place) else None
