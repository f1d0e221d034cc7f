"""Files that no row names are taken away, and no others."""

import os
from pathlib import Path
from typing import Any

import pytest

from app.gateways.files import Files
from app.tables.assets import AssetRow
from app.workers import uploads
from tests.factories import Mall

NAMED, ORPHAN = "ab" + "0" * 62, "cd" + "1" * 62


@pytest.fixture
async def files(any_mall: Mall, tmp_path: Path) -> Files:
    """One file that a row names, and one that none does, both an hour and more old."""
    made = Files(tmp_path / "uploads")
    owner = await any_mall.consumer()
    await any_mall.make(
        AssetRow, owner_id=owner.id, link="x" * 22, sha256=NAMED, media_type="image/png",
        size_bytes=3, width=1, height=1, created_at=any_mall.clock(),
    )  # fmt: skip
    for name in (NAMED, ORPHAN):
        made.put(name, b"old")
        os.utime(made.path(name), (1, 1))
    return made


async def test_what_a_crash_left_goes_and_nothing_else(any_mall: Mall, files: Files) -> None:
    draft = files.path(ORPHAN).with_name(".draft")
    draft.write_bytes(b"half")
    os.utime(draft, (1, 1))
    assert await uploads.once(any_mall.database, files) == 2
    assert [files.path(one).exists() for one in (NAMED, ORPHAN)] == [True, False]
    assert not draft.exists()


async def test_what_is_fresh_may_still_get_its_row(any_mall: Mall, files: Files) -> None:
    files.put(ORPHAN, b"old")
    assert await uploads.once(any_mall.database, files) == 0
    assert files.path(ORPHAN).read_bytes() == b"old"


async def test_a_file_that_is_renewed_meanwhile_stays(
    any_mall: Mall, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_away = Files.take_away

    def renewed(self: Any, path: Path) -> Path:
        files.put(ORPHAN, b"new")
        return take_away(self, path)

    monkeypatch.setattr(Files, "take_away", renewed)
    assert await uploads.once(any_mall.database, files) == 0
    assert files.path(ORPHAN).read_bytes() == b"new"


async def test_a_file_that_a_crash_kept_aside_comes_back(any_mall: Mall, files: Files) -> None:
    files.take_away(files.path(NAMED))
    await uploads.once(any_mall.database, files)
    assert files.path(NAMED).read_bytes() == b"old"


async def test_no_folder_is_no_work(any_mall: Mall, tmp_path: Path) -> None:
    assert await uploads.once(any_mall.database, Files(tmp_path / "none")) == 0


def test_a_file_is_there_as_a_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        Files(tmp_path).put(NAMED, b"data")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
