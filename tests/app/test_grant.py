"""`jishi grant`: how the first admin becomes one."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from app import cli
from tests.serving import gid

ACCOUNT = "INSERT INTO accounts VALUES (7, '小满', NULL, '', '', '2026-03-02 04:00:00')"


@pytest.fixture
def file(migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "mall.db"
    shutil.copy(migrated, file)
    monkeypatch.setenv("JISHI_DATABASE_URL", f"sqlite:///{file}")
    monkeypatch.setenv("JISHI_DEV", "1")
    monkeypatch.setenv("JISHI_MODEL", "none")
    monkeypatch.chdir(tmp_path)
    rows(file, ACCOUNT)
    return file


def rows(file: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(file)
    with connection:
        found = connection.execute(statement).fetchall()
    connection.close()
    return found


def test_an_account_becomes_admin_and_the_log_says_so(file: Path) -> None:
    assert cli.main(["grant", gid("Account", 7), "ADMIN"]) == 0
    assert rows(file, "SELECT account_id, role, subject_id FROM account_roles") == [
        (7, "ADMIN", None)
    ]
    noted = "SELECT action, account_id, role, target_id, detail FROM audit_log"
    assert rows(file, noted) == [("GRANT_ROLE", None, None, 7, "ADMIN")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([gid("Account", 8), "ADMIN"], "no such Account"),
        (["nonsense", "ADMIN"], "no such Account"),
        ([gid("Account", 7), "SUPPLIER"], "subjectId"),
        ([gid("Account", 7), "SUPPLIER", "--for", gid("Supplier", 1)], "no such Supplier"),
        ([gid("Account", 7), "ADMIN", "--for", gid("Supplier", 1)], "no such"),
    ],
)
def test_what_cannot_be_given_is_told_in_one_line_and_changes_nothing(
    file: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["grant", *arguments]) == 1
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
    assert rows(file, "SELECT * FROM account_roles") == rows(file, "SELECT * FROM audit_log") == []
