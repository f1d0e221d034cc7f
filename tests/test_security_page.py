"""docs/security.md promises nothing that no test shows."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
SPEAK_HTTP = {
    "app/gateways/platforms.py",
    "app/gateways/vendors.py",
    "app/terminal.py",
    "llm/remote.py",
}
CLIENTS = {"aiohttp", "http", "httpx", "requests", "urllib3"}


def rows() -> list[str]:
    """The lines of all tables but their heads."""
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    return [line for line in lines if not line.startswith(("|---", "| attack |"))]


def functions(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {one.name for one in ast.walk(tree) if isinstance(one, kinds)}


def imported(file: Path) -> set[str]:
    """The top packages that a file imports."""
    found = set()
    for one in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(one, ast.Import):
            found |= {name.name.partition(".")[0] for name in one.names}
        elif isinstance(one, ast.ImportFrom) and one.module:
            found.add(one.module.partition(".")[0])
    return found


def test_every_row_has_three_cells_and_names_a_test() -> None:
    assert len(rows()) > 40
    assert [row for row in rows() if row.count(" | ") != 2] == []
    assert [row for row in rows() if not NAMED.search(row.rpartition(" | ")[2])] == []


def test_every_test_that_is_named_is_there() -> None:
    named = [(file, test) for file, test in NAMED.findall(PAGE) if test]
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).is_file() or test not in functions(ROOT / file)
    ]
    assert missing == []


def test_only_these_files_speak_http() -> None:
    """Whoever adds one says on the page whose addresses it calls."""
    sources = [file for folder in ("app", "schema", "resolvers", "llm") for file in
               (ROOT / folder).rglob("*.py")]  # fmt: skip
    speaking = {str(file.relative_to(ROOT)) for file in sources if imported(file) & CLIENTS}
    assert speaking == SPEAK_HTTP
