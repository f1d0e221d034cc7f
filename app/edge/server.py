"""uvicorn as we run it: bounded frames, pings, peers that neither send nor take, a quick end."""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from app.edge.streams import STOPPING
from app.settings import Settings

DIRECT = "jishi.frames"  # among the extensions of a websocket's scope
DRAIN = "drain"  # in the state of the application: awaited before it ends
RESTART, RETRY_MS = 1012, 1000
_DRAIN_S = 3.0
_UNSENT = 64 * 1024  # bytes that wait in the kernel of what a peer does not take; else megabytes
_TEXT, _SHORT, _LONG = 0x81, 126, 1 << 16
_TICKS = 20  # of 0.1 s between two looks at the connections


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds a peer has: for the head and the body of a request, to take something, to pong."""

    head_s: float = 20
    body_s: float = 120
    stalled_s: float = 30
    ping_s: float = 20


_USUAL = Patience()


class Frames(WebSocketsSansIOProtocol):
    """Takes whole messages past ASGI, for those that go to many sockets, and tells of room.

    Text that is not UTF-8 is handed on as bytes: a wrong frame, and not a fault of ours to log.
    """

    drained: Callable[[], None] | None = None  # called when a peer that was behind takes again

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self.scope["extensions"][DIRECT] = cast("Any", self)

    def write(self, message: bytes) -> bool:
        if not self.writable.is_set():
            return False
        self.press(message)
        return True

    def press(self, message: bytes) -> None:
        if not self.close_sent and not self.transport.is_closing():
            self.transport.write(_text_frame(message))

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.drained is not None:
            self.drained()

    def shutdown(self) -> None:
        """Tells a client that comes back by itself that it may, and when."""
        if self.handshake_complete and not self.close_sent:
            self.stop_keepalive()
            self.queue.put_nowait({"type": "websocket.disconnect", "code": RESTART})
            self.conn.send_close(RESTART, f"retry: {RETRY_MS}")
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()
        else:
            super().shutdown()

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.curr_msg_data_type = "bytes"
        super().send_receive_event_to_app()


class Server(uvicorn.Server):
    """Closes connections whose request does not arrive, and streams when it stops."""

    def __init__(self, config: uvicorn.Config, patience: Patience = _USUAL) -> None:
        super().__init__(config)
        self._patience = patience
        self._waiting: dict[tuple[Any, Any], float] = {}  # since when, by connection and request

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Lets events that are being told arrive, and ends the streams over HTTP.

        These would hold up the end until it is enforced.
        """
        for one in self.servers:
            one.close()  # no connection comes any more
        if DRAIN in self.lifespan.state:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.lifespan.state[DRAIN](), _DRAIN_S)
        stopping = self.lifespan.state.get(STOPPING)
        if stopping is not None:
            stopping.set()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS == 0:
            self._sweep(time.monotonic())
        return await super().on_tick(counter)

    def _sweep(self, now: float) -> None:
        waiting: dict[tuple[Any, Any], float] = {}
        for one in list(self.server_state.connections):
            limit = self._limit(one)
            if limit is None:
                continue
            key = one, getattr(one, "cycle", None)
            waiting[key] = since = self._waiting.get(key, now)
            if now - since >= limit:
                one.transport.abort()
        self._waiting = waiting

    def _limit(self, connection: Any) -> float | None:
        """How long a connection may take for what it owes, None when it owes nothing."""
        if not isinstance(connection, HttpToolsProtocol):
            return None
        cycle = connection.cycle
        if cycle is None or cycle.response_complete:
            is_idle = connection.timeout_keep_alive_task is not None  # which ends by itself
            return None if is_idle else self._patience.head_s
        return self._patience.body_s if cycle.more_body else None


def _text_frame(message: bytes) -> bytes:
    """A whole text message as a server sends it (RFC 6455, 5.2): final, not masked."""
    size = len(message)
    if size < _SHORT:
        return bytes((_TEXT, size)) + message
    if size < _LONG:
        return bytes((_TEXT, _SHORT)) + size.to_bytes(2) + message
    return bytes((_TEXT, _SHORT + 1)) + size.to_bytes(8) + message


def configured(
    app: ASGIApp, settings: Settings, patience: Patience = _USUAL, **differences: Any
) -> uvicorn.Config:
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "log_config": None,
        "access_log": False,
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": list(settings.trusted_proxies),
        "http": HttpToolsProtocol,
        "ws": Frames,
        "ws_max_size": settings.frame_limit,
        "ws_per_message_deflate": False,
        "ws_ping_interval": patience.ping_s,
        "ws_ping_timeout": patience.ping_s,
        "timeout_graceful_shutdown": 10,
        "timeout_keep_alive": 75,  # longer than clients keep an idle connection for another request
    }
    return uvicorn.Config(app, **options | differences)


def impatient(listening: socket.socket, patience: Patience = _USUAL) -> socket.socket:
    """Lets the kernel drop connections whose peer takes nothing, and hold little for slow ones.

    Accepted connections inherit both. Only the kernel sees whether bytes arrive, and it also counts
    for connections that we have closed already but that still hold what the peer has not taken.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        stalled_ms = int(patience.stalled_s * 1000)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, stalled_ms)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
    return listening


def serve(app: ASGIApp, settings: Settings) -> bool:
    """Serves until a signal comes; whether it could begin."""
    config = configured(app, settings)
    server = Server(config)
    server.run(sockets=[impatient(config.bind_socket())])
    return server.started
