"""Sign-in by WeChat, Alipay and Baidu, against a server that speaks as they do."""

import asyncio
import base64
import logging
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.responses import Response, StreamingResponse

from app.errors import LoginRefused, PlatformUnavailable, TooOften
from app.gateways import alipay, platforms, vendors, wechat
from app.gateways.alipay import AlipayApp
from app.gateways.baidu import BaiduApp
from app.gateways.platforms import ALIPAY, BAIDU, WECHAT, Platforms
from app.gateways.wechat import WeChatApp
from app.settings import BadSetting, Settings
from tests.factories import Hands
from tests.gateways.vendors import (
    ACCESS_TOKEN,
    APP_ID,
    SECRET,
    SESSION_KEY,
    Vendors,
    running,
    said,
)
from tests.serving import free_port

ALL = (WECHAT, ALIPAY, BAIDU)
PLACES = {WECHAT: "/sns/jscode2session", ALIPAY: "/gateway.do", BAIDU: "/oauth/jscode2sessionkey"}
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncGenerator[Vendors]:
    async with running() as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def theirs(server: Vendors) -> Vendors:
    server.codes, server.troubles, server.asked = {"c-1": "2088102150477652"}, [], []
    server.signs_with = None
    return server


@pytest_asyncio.fixture(loop_scope="module")
async def ours(theirs: Vendors) -> AsyncGenerator[Platforms]:
    async with vendors.new_client() as client:
        yield set_up(client, theirs)


def set_up(client: Any, theirs: Vendors, *, url: str = "", secret: str = SECRET) -> Platforms:
    url = url or theirs.url
    return platforms.platforms(
        client,
        Hands(),
        is_dev=False,
        wechat=WeChatApp(APP_ID, secret, url),
        alipay=AlipayApp(
            APP_ID, theirs.our_key, theirs.their_key.public_key(), f"{url}/gateway.do"
        ),
        baidu=BaiduApp(APP_ID, secret, url),
    )


@pytest.mark.parametrize("platform", ALL)
async def test_a_code_names_a_person_once(ours: Platforms, theirs: Vendors, platform: str) -> None:
    assert await ours.identify(platform, "c-1") == "2088102150477652"
    with pytest.raises(LoginRefused):
        await ours.identify(platform, "c-1")
    assert [path for path, _ in theirs.asked] == [PLACES[platform]] * 2


@pytest.mark.parametrize("code", ["", "used-c-1", "c-1&appid=other", "授权码", "c-1\r\nHost: x"])
@pytest.mark.parametrize("platform", ALL)
async def test_any_other_code_is_refused_and_arrives_as_it_is(
    ours: Platforms, theirs: Vendors, platform: str, code: str
) -> None:
    with pytest.raises(LoginRefused):
        await ours.identify(platform, code)
    ((_, given),) = theirs.asked
    assert given.get("js_code", given.get("code", "")) == code


async def test_an_alipay_request_carries_what_the_gateway_asks_for(
    ours: Platforms, theirs: Vendors
) -> None:
    await ours.identify(ALIPAY, "c-1")
    ((_, given),) = theirs.asked
    assert given["timestamp"] == "2026-03-02 12:00:00"  # in China
    assert len(base64.b64decode(given["sign"])) == 256


async def test_an_app_that_gets_no_user_id_gets_an_open_id(
    ours: Platforms, theirs: Vendors
) -> None:
    theirs.codes["c-2"] = "074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5"
    assert await ours.identify(ALIPAY, "c-2") == "074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5"


async def test_an_answer_that_alipay_has_not_signed_lets_nobody_in(
    ours: Platforms, theirs: Vendors
) -> None:
    theirs.signs_with = theirs.our_key
    with pytest.raises(PlatformUnavailable):
        await ours.identify(ALIPAY, "c-1")


@pytest.mark.parametrize(
    "body",
    [
        '{"alipay_system_oauth_token_response":{"user_id":"2088"}}',
        '{"alipay_system_oauth_token_response":{"user_id":"2088"},"sign":"AAAA"}',
        '{"alipay_system_oauth_token_response":{"user_id":"2088"},"sign":"no base64"}',
        '{"alipay_system_oauth_token_response":"2088","sign":"AAAA"}',
        '{"alipay_system_oauth_token_response":' + "[" * 30_000,
        '{"x":{"alipay_system_oauth_token_response":{"user_id":"2088"}}}',
        "[]",
        "<html>",
        "",
    ],
    ids=range(9),
)
async def test_an_unsigned_or_broken_answer_of_alipay_lets_nobody_in(
    ours: Platforms, theirs: Vendors, body: str
) -> None:
    theirs.troubles = [lambda: Response(body)]
    with pytest.raises(PlatformUnavailable):
        await ours.identify(ALIPAY, "c-1")


async def test_alipays_signature_counts_for_the_text_as_it_stands(
    ours: Platforms, theirs: Vendors
) -> None:
    """Its escaped slashes and its Chinese are part of what is signed."""
    told = {"user_id": "2088000000000001", "note": "a/b 授权 \\ "}
    theirs.troubles = [lambda: theirs.signed("alipay_system_oauth_token_response", told)]
    assert await ours.identify(ALIPAY, "c-1") == "2088000000000001"


@pytest.mark.parametrize(
    ("platform", "answer"),
    [
        (WECHAT, {"errcode": 40013, "errmsg": "invalid appid"}),
        (WECHAT, {"errcode": 40125, "errmsg": "invalid appsecret"}),
        (WECHAT, {"errcode": 0, "session_key": "x"}),
        (WECHAT, {"openid": 7}),
        (WECHAT, ["openid"]),
        (ALIPAY, {"error_response": {"code": "20000", "sub_code": "isp.unknow-error"}}),
        (ALIPAY, {"error_response": {"code": "40002", "sub_code": "isv.invalid-signature"}}),
        (
            BAIDU,
            {
                "errno": 10010100,
                "error": "parameter is invalid",
                "error_description": "Key: 'Code2SessionKeyParam.ClientID' Error:Field validation",
            },
        ),
        (BAIDU, {"errno": 1, "error": "invalid_client", "error_description": "unknown client id"}),
        (BAIDU, {"session_key": "x"}),
        (BAIDU, None),
    ],
)
async def test_what_is_no_fault_of_the_code_is_the_platforms_trouble(
    ours: Platforms, theirs: Vendors, platform: str, answer: object
) -> None:
    theirs.troubles = [lambda: said(answer)]
    with pytest.raises(PlatformUnavailable) as refusal:
        await ours.identify(platform, "c-1")
    assert refusal.value.data == {"platform": platform}


async def test_a_person_wechat_blocks_is_refused_and_one_too_quick_waits_a_minute(
    ours: Platforms, theirs: Vendors
) -> None:
    theirs.troubles = [
        lambda: said({"errcode": 40226, "errmsg": "code blocked"}),
        lambda: said({"errcode": 45011, "errmsg": "api minute-quota reach limit"}),
    ]
    with pytest.raises(LoginRefused):
        await ours.identify(WECHAT, "c-1")
    with pytest.raises(TooOften) as refusal:
        await ours.identify(WECHAT, "c-1")
    assert refusal.value.data == {"retry_after_s": 60}


async def test_a_busy_wechat_is_asked_once_more_and_no_more(
    ours: Platforms, theirs: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wechat, "_PAUSE_S", 0)
    busy = {"errcode": -1, "errmsg": "system error"}
    theirs.troubles = [lambda: said(busy)]
    assert await ours.identify(WECHAT, "c-1") == "2088102150477652"
    theirs.troubles = [lambda: said(busy)] * 2
    with pytest.raises(PlatformUnavailable):
        await ours.identify(WECHAT, "c-2")
    assert len(theirs.asked) == 4


@pytest.mark.parametrize("platform", ALL)
@pytest.mark.parametrize(
    "trouble",
    [
        lambda: Response("busy", 503),
        lambda: Response("{", 200),
        lambda: Response("\xff\xfe", 200),
        lambda: Response("", 302, {"location": "http://127.0.0.1:1/"}),
        lambda: Response('{"openid": "' + "x" * vendors.LONGEST_BYTES, 200),
    ],
    ids=["503", "half", "binary", "redirect", "endless"],
)
async def test_a_broken_answer_is_unavailable_and_asked_for_once(
    ours: Platforms, theirs: Vendors, platform: str, trouble: Any
) -> None:
    """The code may be used up by then, so nobody asks again."""
    theirs.troubles = [trouble]
    with pytest.raises(PlatformUnavailable):
        await ours.identify(platform, "c-1")
    assert len(theirs.asked) == 1


@pytest.mark.parametrize("platform", ALL)
async def test_an_answer_that_drips_is_given_up(
    ours: Platforms, theirs: Vendors, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def drops() -> AsyncGenerator[bytes]:
        for _ in range(20):
            yield b" "
            await asyncio.sleep(0.05)

    monkeypatch.setattr(platforms, "LONGEST_S", 0.2)
    theirs.troubles = [lambda: StreamingResponse(drops())]
    began = asyncio.get_running_loop().time()
    with pytest.raises(PlatformUnavailable):
        await ours.identify(platform, "c-1")
    assert asyncio.get_running_loop().time() - began < 0.6
    assert len(theirs.asked) == 1


@pytest.mark.parametrize("platform", ALL)
async def test_a_platform_nobody_reaches_is_unavailable(theirs: Vendors, platform: str) -> None:
    async with vendors.new_client() as client:
        nowhere = set_up(client, theirs, url=f"http://127.0.0.1:{free_port()}")
        with pytest.raises(PlatformUnavailable):
            await nowhere.identify(platform, "c-1")


@pytest.mark.parametrize("platform", ALL)
async def test_no_log_has_a_secret_a_code_or_a_session_key(
    theirs: Vendors, platform: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with vendors.new_client() as client:
        good, bad = set_up(client, theirs), set_up(client, theirs, secret="another-secret")
        await good.identify(platform, "c-1")
        theirs.troubles = [lambda: said({"errcode": 1, "errno": 1, "error": "invalid_client"})]
        for one in (good, bad):
            with pytest.raises((LoginRefused, PlatformUnavailable)):
                await one.identify(platform, "c-1")
    ours = [one for one in caplog.records if not one.name.startswith("uvicorn")]
    text = "\n".join(f"{one.name} {one.getMessage()} {one.exc_info}" for one in ours)
    assert f"sign-in by {platform}" in text
    for hidden in (SECRET, "another-secret", "c-1", SESSION_KEY, ACCESS_TOKEN):
        assert hidden not in text
    assert SECRET not in repr(WeChatApp(APP_ID, SECRET)) + repr(BaiduApp(APP_ID, SECRET))


def texts(key: Any) -> tuple[str, str]:
    """A private key as PEM, and as the Base64 that Alipay's tool writes."""
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    der = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return pem, base64.b64encode(der).decode()


def public(key: Any) -> tuple[str, str]:
    made = key.public_key()
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = made.public_bytes(serialization.Encoding.PEM, info).decode()
    der = made.public_bytes(serialization.Encoding.DER, info)
    return pem, base64.b64encode(der).decode()


async def test_keys_are_read_from_pem_and_from_bare_base64(theirs: Vendors) -> None:
    numbers = theirs.our_key.private_numbers()
    for text in texts(theirs.our_key):
        assert alipay.private_key(text).private_numbers() == numbers
    for text in public(theirs.our_key):
        assert alipay.public_key(f"{text}\n").public_numbers() == numbers.public_numbers


async def test_platforms_are_set_up_whole_or_not_at_all(theirs: Vendors, tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    own.write_text(texts(theirs.our_key)[1])
    other.write_text(public(theirs.their_key)[1])
    least = {
        "JISHI_SECRET": "a secret of at least thirty-two characters",
        "JISHI_MODEL": "none",
        "JISHI_ORIGINS": "none",
    }
    env = {
        "JISHI_WECHAT_APP_ID": "wx",
        "JISHI_WECHAT_SECRET": "s",
        "JISHI_ALIPAY_APP_ID": "ali",
        "JISHI_ALIPAY_PRIVATE_KEY": str(own),
        "JISHI_ALIPAY_PUBLIC_KEY": str(other),
        "JISHI_BAIDU_APP_KEY": "k",
        "JISHI_BAIDU_SECRET": "s",
        "JISHI_BAIDU_URL": "https://baidu.example",
    }
    given = Settings.from_env(least | env)
    assert given.wechat == WeChatApp("wx", "s", "https://api.weixin.qq.com")
    assert given.baidu == BaiduApp("k", "s", "https://baidu.example")
    assert given.alipay is not None
    assert given.alipay.url == "https://openapi.alipay.com/gateway.do"
    for name in env.keys() - {"JISHI_BAIDU_URL"}:
        with pytest.raises(BadSetting, match=name):
            Settings.from_env(least | {**env, name: ""})
    nothing = Settings.from_env(least)
    assert (nothing.wechat, nothing.alipay, nothing.baidu) == (None, None, None)


@pytest.mark.parametrize("name", ["JISHI_ALIPAY_PRIVATE_KEY", "JISHI_ALIPAY_PUBLIC_KEY"])
async def test_a_key_file_of_another_kind_is_named(
    theirs: Vendors, tmp_path: Path, name: str
) -> None:
    files = {"JISHI_ALIPAY_PRIVATE_KEY": tmp_path / "a", "JISHI_ALIPAY_PUBLIC_KEY": tmp_path / "b"}
    files["JISHI_ALIPAY_PRIVATE_KEY"].write_text(texts(theirs.our_key)[0])
    files["JISHI_ALIPAY_PUBLIC_KEY"].write_text(public(theirs.their_key)[0])
    env = {"JISHI_SECRET": "s" * 32, "JISHI_MODEL": "none", "JISHI_ALIPAY_APP_ID": "ali"}
    env |= {one: str(file) for one, file in files.items()}
    curve = ec.generate_private_key(ec.SECP256R1())
    for text in ("", "nonsense", "-----BEGIN", public(curve)[0], texts(curve)[0]):
        files[name].write_text(text)
        with pytest.raises(BadSetting, match=name):
            Settings.from_env(env)
    files[name].unlink()
    with pytest.raises(BadSetting, match=name):
        Settings.from_env(env)


@pytest.mark.parametrize("url", ["http://api.example", "ftp://127.0.0.1", "127.0.0.1:80"])
async def test_a_platform_is_asked_by_https_or_on_this_machine(url: str) -> None:
    env = {"JISHI_SECRET": "s" * 32, "JISHI_MODEL": "none", "JISHI_WECHAT_URL": url}
    env |= {"JISHI_WECHAT_APP_ID": "wx", "JISHI_WECHAT_SECRET": "s"}
    with pytest.raises(BadSetting, match="JISHI_WECHAT_URL"):
        Settings.from_env(env)
