"""Files that can't be a checkpoint, told by their first and last bytes."""

from __future__ import annotations

import os
import zipfile

_STARTS = (b"\x80", b"PK")  # a pickle, as torch.save wrote before 1.6; a zip archive since
_SHOWN = 40


def why_no_checkpoint(path: str) -> str | None:
    """What a file is in the place of one that torch.save has written; None if it may be one.

    Raises:
        OSError: it can't be read.
    """
    if os.path.isdir(path):
        return "is a folder; name the file in it, model_final.pth"
    with open(path, "rb") as file:
        start = file.read(_SHOWN)
    if not start:
        return "is empty"
    if start.startswith(b"PK") and not zipfile.is_zipfile(path):
        return "is truncated: the end of its archive is missing"
    if not start.startswith(_STARTS):
        shown = start.split(b"\n")[0].decode(errors="backslashreplace")
        return f"is another kind of file; it begins with {shown!r}"
    return None
