"""Files by the hash of their content, in a folder that no route serves."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_ASIDE = ".aside"


class Files:
    """A file is there as a whole or not at all, under `<first two signs>/<sha256>`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def put(self, sha256: str, data: bytes) -> None:
        """Writes it, once more if it is there: that makes it new to the sweep."""
        path = self.path(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise

    def older_than(self, moment: float) -> Iterator[Path]:
        """Files and drafts last written before that time (seconds since 1970)."""
        for aside in self._folder.glob(f"??/*{_ASIDE}"):  # a crash has kept it from coming back
            self.restore(aside)
        for path in sorted(self._folder.glob("??/*")):
            if path.stat().st_mtime < moment:
                yield path

    def take_away(self, path: Path) -> Path:
        """Moves a file to where nobody looks for it; `restore` brings it back."""
        return path.replace(path.with_name(path.name + _ASIDE))

    def restore(self, aside: Path) -> None:
        aside.replace(aside.with_name(aside.name.removesuffix(_ASIDE)))
