"""The `jishi` command: serve, migrate, seed, grant, chat, schema."""

import argparse
import asyncio
import gc
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import uvloop
from tqdm import tqdm

from app import graphql, ids, migrate, seed, terminal
from app.auth import Role
from app.bus import MemoryBus
from app.clock import utc_now
from app.db import Database
from app.edge import server
from app.errors import MallError
from app.main import check_servers, create_app
from app.services import roles
from app.settings import BadSetting, Settings
from app.telemetry import start_logging

SDL = Path(__file__).parent.parent / "schema" / "schema.graphql"
WELCOME = """\
集市 Jishi  http://{host}:{port}
{playground}\
  /graphql      HTTP、SSE、WebSocket（graphql-transport-ws）
  /readyz       健康检查  health
{sign_in}\
  终端聊天  chat in a terminal:  .venv/bin/jishi chat --as consumer-1
"""
PLAYGROUND = "  /playground   GraphiQL，左侧有各角色示例  examples for every role\n"
SIGN_IN = """\
  登录  sign in:
    mutation { loginWithCode(input: {platform: DEV, code: "consumer-1"}) {
      ... on Session { token } } }         ->  Authorization: Bearer <token>
    codes: consumer-1  distributor-1  supplier-1  agent-1  admin-1
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; a wrong setting ends with one line and status 2."""
    given = _parser().parse_args(arguments)
    try:
        settings = Settings.from_env(os.environ)
        command: Callable[[argparse.Namespace, Settings], int] = given.command
        return command(given, settings)
    except BadSetting as wrong:
        print(f"jishi: {wrong}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jishi", description="集市 Jishi")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve the mall (--ready: migrate and seed first)")
    serve.add_argument("--ready", action="store_true", help="migrate, and seed an empty database")
    serve.set_defaults(command=_serve)
    migrating = commands.add_parser("migrate", help="bring the database to the newest form")
    migrating.add_argument("--check", action="store_true", help="do tables and migrations agree?")
    migrating.set_defaults(command=_migrate)
    seeding = commands.add_parser("seed", help="migrate, and fill an empty database")
    seeding.add_argument("--full", action="store_true", help="the large one; takes minutes")
    seeding.set_defaults(command=_seed)
    granting = commands.add_parser("grant", help="give an account a role: the first admin's way in")
    granting.add_argument("account", help="global id, as `{ viewer { account { id } } }` tells it")
    granting.add_argument("role", choices=[one.value for one in Role if one is not Role.GUEST])
    granting.add_argument("--for", dest="subject", help="global id of the supplier or distributor")
    granting.set_defaults(command=_grant)
    chat = commands.add_parser("chat", help="talk to the running server")
    chat.add_argument("--as", dest="code", default="consumer-1", help="DEV sign-in code")
    chat.add_argument("--url", default=None, help="where the server runs")
    chat.add_argument("--about", default=None, help="global id of an order, product, room ...")
    chat.add_argument("text", nargs="*", help="one message; none opens a conversation")
    chat.set_defaults(command=_chat)
    schema = commands.add_parser("schema", help="print the GraphQL schema")
    schema.add_argument("--check", action="store_true", help="compare it with schema.graphql")
    schema.add_argument("--write", action="store_true", help="write schema.graphql")
    schema.set_defaults(command=_schema)
    return parser


def _serve(given: argparse.Namespace, settings: Settings) -> int:
    _check(settings)
    if given.ready:
        migrate.upgrade(settings.database_url)
        _seed_if_empty(settings)
    start_logging(settings.log_level)
    sign_in = SIGN_IN if settings.is_dev else ""
    playground = PLAYGROUND if settings.playground else ""
    place = {"host": settings.host, "port": settings.port}
    print(WELCOME.format(**place, playground=playground, sign_in=sign_in), flush=True)
    application = create_app(settings)
    _settle_memory()
    return 0 if server.serve(application, settings) else 3


def _settle_memory() -> None:
    """What lives as long as the process is never looked through again for garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _check(settings: Settings) -> None:
    migrate.make_room(settings.database_url)
    asyncio.run(check_servers(settings))


def _migrate(given: argparse.Namespace, settings: Settings) -> int:
    if not given.check:
        _check(settings)
        migrate.upgrade(settings.database_url)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{folder}/check.db"
        migrate.upgrade(url)
        try:
            migrate.check_drift(url)
        except migrate.Drift as drift:
            print(f"jishi: the migrations lag behind the tables: {drift}", file=sys.stderr)
            return 1
    return 0


def _seed(given: argparse.Namespace, settings: Settings) -> int:
    _check(settings)
    migrate.upgrade(settings.database_url)
    if not _seed_if_empty(settings, full=given.full):
        print("jishi: the database is not empty; nothing was seeded", file=sys.stderr)
        return 1
    return 0


def _seed_if_empty(settings: Settings, *, full: bool = False) -> bool:
    return uvloop.run(_fill(settings, full=full))  # 15 s where asyncio takes 23


async def _fill(settings: Settings, *, full: bool) -> bool:
    database = Database(settings.database_url, bus=MemoryBus())
    bars: dict[str, tqdm[None]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        if stage not in bars:
            bars[stage] = tqdm(total=total, desc=stage, unit="", file=sys.stderr)
        bar = bars[stage]
        bar.update(done - bar.n)
        if done >= total:
            bar.close()

    try:
        if not await seed.is_empty(database):
            return False
        await seed.seed(database, full=full, now=utc_now(), progress=progress)
    finally:
        for bar in bars.values():
            bar.close()
        await database.close()
    return True


def _grant(given: argparse.Namespace, settings: Settings) -> int:
    _check(settings)
    role = Role(given.role)
    try:
        kind = roles.KINDS.get(role, "")
        subject = None if given.subject is None else ids.key_of(kind, given.subject)
        asyncio.run(_appoint(settings, ids.key_of("Account", given.account), role, subject))
    except MallError as refused:
        print(f"jishi: {refused}", file=sys.stderr)
        return 1
    return 0


async def _appoint(settings: Settings, account_id: int, role: Role, subject: int | None) -> None:
    """Sessions that end by it are found by the running servers when they look, within seconds."""
    database = Database(settings.database_url, bus=MemoryBus())
    try:
        await database.change(roles.appoint, account_id=account_id, role=role, subject_id=subject)
    finally:
        await database.close()


def _chat(given: argparse.Namespace, settings: Settings) -> int:
    url = given.url or f"http://{settings.host}:{settings.port}"
    return asyncio.run(
        terminal.talk(url, code=given.code, about=given.about, text=" ".join(given.text))
    )


def _schema(given: argparse.Namespace, _settings: Settings) -> int:
    printed = graphql.printed(graphql.build())
    if given.write:
        SDL.write_text(printed, encoding="utf-8")
    elif not given.check:
        print(printed, end="")
    elif not SDL.exists() or SDL.read_text(encoding="utf-8") != printed:
        print("jishi: schema/schema.graphql is not current: run `make schema`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
