"""Persisted documents: an id or a hash in place of the text, and whose texts are run at all."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import orjson

from app.edge.operations import Operation
from app.edge.refusals import (
    BadRequest,
    DocumentNotTrusted,
    PersistedQueryNotFound,
    PersistedQueryNotSupported,
)
from app.settings import BadSetting, DocumentMode

BYTES = 8 * 1024 * 1024  # of texts that callers have sent along with their hash
ENTRY_BYTES = 300  # beside the text; measured


class Persisted:
    """The texts that are known by an id or by their SHA-256, as the mode wants it.

    The manifest serves in every mode, under its own ids and under the hashes of its texts. What
    callers register is bounded by its bytes: the least used text goes first and is sent again.
    """

    def __init__(
        self,
        mode: DocumentMode,
        manifest: Mapping[str, str] | None = None,
        *,
        most_bytes: int = BYTES,
    ) -> None:
        self.bytes = 0
        self._mode, self._most_bytes = mode, most_bytes
        self._by_id = dict(manifest or {})
        self._by_hash = {sha256_of(text): text for text in self._by_id.values()}
        self._trusted = set(self._by_id.values())
        self._registered: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._registered)

    def text(self, operation: Operation) -> str:
        """The text to run.

        Raises PersistedQueryNotFound, PersistedQueryNotSupported, DocumentNotTrusted, and
        BadRequest for a text that is not the one of its id or hash.
        """
        if operation.document_id is None and operation.sha256 is None:
            if self._mode is DocumentMode.TRUSTED and operation.query not in self._trusted:
                raise DocumentNotTrusted
            return operation.query
        known = self._known(operation)
        if known is None:
            return self._registered_now(operation)
        if operation.query and operation.query != known:
            raise _other_text()
        return known

    def _known(self, operation: Operation) -> str | None:
        if operation.document_id is not None:
            known = self._by_id.get(operation.document_id)
            if known is None:
                raise PersistedQueryNotFound
            if operation.sha256 not in {None, sha256_of(known)}:
                raise _other_text()
            return known
        assert operation.sha256 is not None
        known = self._by_hash.get(operation.sha256) or self._registered.get(operation.sha256)
        if operation.sha256 in self._registered:
            self._registered.move_to_end(operation.sha256)
        return known

    def _registered_now(self, operation: Operation) -> str:
        """The text that came with its hash, kept in the mode that keeps."""
        text, sha256 = operation.query, operation.sha256
        if self._mode is DocumentMode.TRUSTED:
            raise DocumentNotTrusted if text else PersistedQueryNotFound
        if not text and self._mode is DocumentMode.APQ:
            raise PersistedQueryNotFound
        if not text:
            raise PersistedQueryNotSupported
        if sha256 is None or sha256_of(text) != sha256:
            raise _other_text()
        if self._mode is DocumentMode.APQ:
            self._registered[sha256] = text
            self.bytes += _weight(text)
            while self.bytes > self._most_bytes:
                self.bytes -= _weight(self._registered.popitem(last=False)[1])
        return text


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def read_manifest(file: Path | None) -> dict[str, str]:
    """Documents by their ids, from a file with a JSON object. Raises BadSetting."""
    if file is None:
        return {}
    try:
        given = orjson.loads(file.read_bytes())
    except OSError:
        raise BadSetting("JISHI_MANIFEST names no file that can be read") from None
    except orjson.JSONDecodeError:
        raise BadSetting("JISHI_MANIFEST must be a file of JSON") from None
    is_manifest = isinstance(given, dict) and all(
        key and isinstance(text, str) and text for key, text in given.items()
    )
    if not is_manifest or not given:
        raise BadSetting('JISHI_MANIFEST must hold {"id": "document", ...}')
    return dict(given)


def _weight(text: str) -> int:
    return ENTRY_BYTES + 4 * len(text)  # a text of Chinese takes two to four bytes a character


def _other_text() -> BadRequest:
    return BadRequest("文本与其 id 或哈希不符", "the text is not the one of its id or hash")
