"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing"]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """An empty file, in the same folder, that takes the place of ``path`` after the block.

    Until then ``path`` is as it was, also if the process is killed or the machine loses power; the
    new file is removed after an exception. It has the rights that the old one had.
    """
    target = Path(os.path.realpath(path))  # a link stays one
    temporary = target.with_name(f".skood-{secrets.token_hex(8)}.tmp")
    temporary.touch(exist_ok=False)
    try:
        mode = (target if target.exists() else temporary).stat().st_mode
        yield temporary
        os.chmod(temporary, mode)  # whatever wrote it may have made it for its owner only
        _flush(temporary, os.O_RDWR)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # where folders can be opened, and are written in their own time
        _flush(target.parent, os.O_RDONLY)


def _flush(path: Path, mode: int) -> None:
    """To the disk, and not only to the memory of the system."""
    descriptor = os.open(path, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
