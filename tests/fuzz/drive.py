"""Sends drawn requests to a running server and says what must never happen."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.drawn import Drawn, requests

TRACEBACK = "traceback"  # a key of the log's JSON lines, and a word of Python's own


@dataclass(frozen=True)
class Fault:
    """A request whose answer was a bug of ours."""

    drawn: Drawn
    why: str
    answer: str


@dataclass
class Fuzz:
    """`tokens` of who asks, by the names in `drawn.WHO`; `log` is what the server writes."""

    client: httpx.Client
    tokens: Mapping[str, str]
    log: Path
    faults: list[Fault] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    read: int = 0  # bytes of the log

    def batch(self, examples: int, *, number: int | None = None) -> None:
        """So many requests; the same ones every time for a `number`."""

        @settings(
            max_examples=examples,
            derandomize=number is None,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(requests())
        def ask(drawn: Drawn) -> None:
            self.ask(drawn)

        (ask if number is None else seed(number)(ask))()

    def ask(self, drawn: Drawn) -> None:
        headers = dict(drawn.headers)
        if drawn.who in self.tokens:
            headers["authorization"] = f"Bearer {self.tokens[drawn.who]}"
        url = f"/graphql?{drawn.query}" if drawn.query else "/graphql"
        self.sent += 1
        try:
            answer = self.client.request(drawn.method, url, content=drawn.content, headers=headers)
        except httpx.TransportError as broken:
            self.faults.append(Fault(drawn, f"no answer: {broken!r}", ""))
            return
        codes = codes_of(answer)
        self.codes.update(codes or [str(answer.status_code)])
        why = ""
        if answer.status_code >= 500:
            why = f"status {answer.status_code}"
        elif "INTERNAL" in codes:
            why = "INTERNAL"
        elif answer.status_code >= 400 and not codes:
            why = f"status {answer.status_code} without a code"
        complaint = self._complaint()
        if why or complaint:
            self.faults.append(Fault(drawn, complaint or why, answer.text[:2000]))

    def _complaint(self) -> str:
        """What the server has logged of a bug since the last look."""
        with self.log.open("rb") as lines:
            lines.seek(self.read)
            new = lines.read()
        self.read += len(new)
        text = new.decode(errors="replace")
        told = [line for line in text.splitlines() if TRACEBACK in line.lower()]
        return told[0][-4000:] if told else ""


def codes_of(answer: httpx.Response) -> list[str]:
    """The codes of an answer's errors; those of an event stream's first event."""
    body = answer.text
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        body = next((line[6:] for line in body.splitlines() if line.startswith("data: {")), "{}")
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return []
    errors = told.get("errors") or [] if isinstance(told, dict) else []
    return [one.get("extensions", {}).get("code", "NO CODE") for one in errors]


def signed_in(client: httpx.Client) -> dict[str, str]:
    """Tokens of a consumer and an admin, and one that is none."""
    query = """mutation($code: String!) { loginWithCode(input: {platform: DEV, code: $code}) {
        ... on Session { token } } }"""
    tokens = {"nobody": "eyJhbGciOiJub25lIn0.e30."}
    for who in ("consumer", "admin"):
        body = {"query": query, "variables": {"code": f"{who}-1"}}
        answer = client.post("/graphql", json=body).json()
        tokens[who] = answer["data"]["loginWithCode"]["token"]
    return tokens
