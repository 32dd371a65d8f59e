"""Pictures from a folder, of any size and mode, as one array."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from skood.core.callers import stacklevel_of_user
from skood.core.parameters import check_count

__all__ = ["load_image_folder"]

Mode: TypeAlias = Literal["auto", "grey", "colour"]
Errors: TypeAlias = Literal["raise", "skip"]

_EXTENSIONS = (
    *(".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm"),
    *(".tif", ".tiff", ".webp"),
)
_MOST_NAMED = 10


def load_image_folder(
    path: str | os.PathLike[str],
    *,
    size: int | tuple[int, int],
    mode: Mode = "auto",
    errors: Errors = "raise",
) -> tuple[NDArray[np.uint8], list[Path]]:
    """Pictures in a folder and its subfolders, cropped and resized to one size.

    Reading them needs Pillow: ``pip install "skood[images]"``.

    Parameters
    ----------
    path : str or path-like
        A folder. Its files are read in the order of their names. Left out are hidden files and
        folders, whose names begin with a dot, and files whose names do not end in bmp, gif, jp2,
        jpeg, jpg, pbm, pgm, png, ppm, tif, tiff or webp.
    size : int or (int, int)
        Height and width of the result in pixels; one number for both.
    mode : {"auto", "grey", "colour"}, default="auto"
        Whether the result is grey, or red, green and blue. "auto" is grey if all files are stored
        as grey; colours are not looked at. New pictures must have the mode of those that a detector
        was fitted on: name it there.
    errors : {"raise", "skip"}, default="raise"
        What happens if a file cannot be read: an error, or a warning that names it.

    Returns
    -------
    X : ndarray of shape (n, height, width) or (n, height, width, 3), uint8
        Pictures with pixel values 0 (black) to 255.
    paths : list of Path, of length n
        Their files; each path begins with the folder's.

    Raises
    ------
    ValueError
        If ``path`` is not a folder with pictures in it, a file cannot be read, or a parameter is
        not valid.
    ImportError
        If Pillow is not installed.

    Warns
    -----
    UserWarning
        If files are skipped.

    Notes
    -----
    *Aspect ratio.* The largest part in the middle that has the proportions of ``size`` is cut out
    and resized. To squash the whole picture would distort each format of the originals in a way of
    its own, which a detector sees sooner than what is shown; bars around it are plain areas, which
    a likelihood prefers to any content. Where margins matter, as for parts on a belt, give a
    ``size`` with the proportions of the pictures: then nothing is cut off.

    *Resizing* is bicubic, with antialiasing. Pictures smaller than ``size`` are enlarged, and then
    smoother than others, which a detector sees: choose a size that all of them have.

    *Values.* The orientation in the EXIF data is applied. What is transparent is white. Grey levels
    of 16 bits are divided by 257, whatever the brightest is, so that dark pictures stay dark.
    Colour profiles are not applied, and of an animation only the first picture is read. Colours
    become grey by the luma of ITU-R BT.601.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> from skood.datasets import load_image_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (40, 30), 7).save(f"{folder}/a.png")
    ...     Image.new("RGB", (50, 90), (255, 0, 0)).save(f"{folder}/b.jpg")
    ...     X, paths = load_image_folder(folder, size=16)
    >>> X.shape, X.dtype, [path.name for path in paths]
    ((2, 16, 16, 3), dtype('uint8'), ['a.png', 'b.jpg'])
    """
    try:
        from skood.datasets import _pictures
    except ImportError as error:
        raise ImportError(
            'load_image_folder needs Pillow. Install it with pip install "skood[images]".'
        ) from error
    height, width = _checked_size(size)
    _check_choice("mode", mode, ("auto", "grey", "colour"))
    _check_choice("errors", errors, ("raise", "skip"))
    paths = _picture_files(Path(path))
    is_grey = mode == "grey" or (mode == "auto" and all(map(_pictures.may_be_grey, paths)))
    shape = (height, width) if is_grey else (height, width, 3)
    X = np.empty((len(paths), *shape), dtype=np.uint8)
    read: list[Path] = []
    unread: list[str] = []
    for file in paths:
        try:
            X[len(read)] = _pictures.pixels(file, height, width, is_grey=is_grey)
        # Broken files raise whatever the code behind their format comes across.
        except Exception as error:
            unread.append(f"{file}: {error or type(error).__name__}")
            if errors == "raise":
                raise ValueError(
                    f"This picture cannot be read: {unread[0]}. Remove it, or leave such files out "
                    'with errors="skip".'
                ) from error
        else:
            read.append(file)
    if unread:
        _report(unread, n_read=len(read))
    return X[: len(read)], read


def _checked_size(size: Any) -> tuple[int, int]:
    sides = size if isinstance(size, tuple | list) else (size, size)
    if len(sides) != 2:
        raise ValueError(f"size must be a positive integer, or two: height, width; got {size!r}.")
    return check_count("size", sides[0]), check_count("size", sides[1])


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}; give one of {', '.join(map(repr, known))}.")


def _picture_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ValueError(f"path is {str(folder)!r}, which is not a folder. Give one.")
    files = {file.relative_to(folder).parts: file for file in folder.rglob("*")}
    pictures = [
        files[parts]
        for parts in sorted(files)
        if parts[-1].lower().endswith(_EXTENSIONS)
        and not any(part.startswith(".") for part in parts)
        and files[parts].is_file()
    ]
    if not pictures:
        raise ValueError(
            f"{folder} holds no pictures, whose names end in {', '.join(_EXTENSIONS)}. Rename or "
            "convert what it holds."
        )
    return pictures


def _report(unread: list[str], *, n_read: int) -> None:
    named = "\n".join(unread[:_MOST_NAMED])
    if len(unread) > _MOST_NAMED:
        named += f"\nand {len(unread) - _MOST_NAMED} more"
    if not n_read:
        raise ValueError(f"None of the pictures can be read:\n{named}\nGive readable ones.")
    n_files = len(unread) + n_read
    warnings.warn(
        f"{len(unread)} of {n_files} pictures cannot be read and were skipped:\n{named}",
        UserWarning,
        stacklevel=stacklevel_of_user(),
    )
