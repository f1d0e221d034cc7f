"""Pictures as they come from anybody, made into pictures that are safe to show.

What is kept is drawn anew from the pixels. So nothing else survives: no position or name of the
camera, no script behind the last byte, no second format in the same file. Moving pictures stand
still.
"""

import hashlib
import logging
from dataclasses import dataclass
from io import BytesIO
from typing import IO

from PIL import Image, ImageOps

from app.errors import UnsupportedMedia, UploadTooLarge

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")  # told by the content; what a client calls it is no matter
_QUALITY = 88
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Picture:
    """`media_type` is image/jpeg, or image/png for one that can be seen through."""

    data: bytes
    sha256: str
    media_type: str
    width: int
    height: int


def redrawn(file: IO[bytes], *, most_pixels: int, longest_side: int) -> Picture:
    """Raises UnsupportedMedia for what is no whole picture, UploadTooLarge for too many pixels."""
    try:
        with Image.open(file, formats=FORMATS) as opened:
            is_small = opened.width * opened.height <= most_pixels
            picture = _drawn(opened, longest_side) if is_small else None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        picture = None
    except Exception as broken:  # noqa: BLE001  decoders fail in any way on what was made to
        _log.info("not a picture: %r", broken)
        raise UnsupportedMedia from None
    if picture is None:
        raise UploadTooLarge
    return picture


def _drawn(opened: Image.Image, longest_side: int) -> Picture:
    has_alpha = "A" in opened.getbands() or "transparency" in opened.info
    pixels = opened.convert("RGBA") if opened.mode == "P" else opened
    pixels.thumbnail((longest_side, longest_side))  # first, so that all else is small
    pixels = ImageOps.exif_transpose(pixels).convert("RGBA" if has_alpha else "RGB")
    bare = Image.frombytes(pixels.mode, pixels.size, pixels.tobytes())
    output = BytesIO()
    if has_alpha:
        bare.save(output, "PNG")
    else:
        bare.save(output, "JPEG", quality=_QUALITY, optimize=True)
    data = output.getvalue()
    media_type = "image/png" if has_alpha else "image/jpeg"
    return Picture(data, hashlib.sha256(data).hexdigest(), media_type, bare.width, bare.height)
