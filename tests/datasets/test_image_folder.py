"""Pictures of one's own, of any size, mode and orientation."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from skood.datasets import load_image_folder


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def ramp(height, width, low=0, high=255):
    """Grey levels that grow from left to right."""
    levels = np.linspace(low, high, width)
    return np.rint(np.tile(levels, (height, 1)))


def save(array, path, mode=None, **options):
    Image.fromarray(np.asarray(array, dtype=np.uint8)).convert(mode).save(path, **options)


def test_files_are_read_in_the_order_of_their_names_from_all_folders(folder):
    (folder / "b" / "c").mkdir(parents=True)
    (folder / ".git").mkdir()
    for i, name in enumerate(["b/c/1.png", "a.PNG", "c.bmp", ".hidden.png", ".git/x.png"]):
        save(np.full((8, 8), 10 * i), folder / name.lower())
    (folder / "notes.txt").write_text("no picture")
    (folder / "folder.png").mkdir()
    X, paths = load_image_folder(folder, size=8)
    assert [str(path.relative_to(folder)) for path in paths] == ["a.png", "b/c/1.png", "c.bmp"]
    np.testing.assert_array_equal(X[:, 0, 0], [10, 0, 20])
    assert X.dtype == np.uint8


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
@pytest.mark.parametrize("wanted, shape", [("grey", (1, 4, 6)), ("colour", (1, 4, 6, 3))])
def test_every_mode_becomes_the_one_that_is_wanted(folder, mode, wanted, shape):
    save(np.full((4, 6, 3), 255), folder / "white.tif", mode)
    X, _ = load_image_folder(folder, size=(4, 6), mode=wanted)
    assert X.shape == shape
    assert (X == 255).all()


@pytest.mark.parametrize(
    "modes, shape",
    [(["L", "1", "LA"], (3, 4, 4)), (["L", "RGB"], (2, 4, 4, 3)), (["P"], (1, 4, 4, 3))],
)
def test_auto_is_grey_only_if_all_files_are(folder, modes, shape):
    for i, mode in enumerate(modes):
        save(np.zeros((4, 4)), folder / f"{i}.png", mode)
    assert load_image_folder(folder, size=4)[0].shape == shape


def test_colours_are_kept_and_grey_is_their_luma(folder):
    save(np.full((4, 4, 3), (200, 100, 50)), folder / "a.png")
    colour, _ = load_image_folder(folder, size=4)
    grey, _ = load_image_folder(folder, size=4, mode="grey")
    assert (colour == (200, 100, 50)).all()
    assert (grey == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)).all()


def test_a_palette_is_looked_up(folder):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.save(folder / "a.gif")
    assert (load_image_folder(folder, size=4)[0] == (10, 200, 30)).all()


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_what_is_transparent_is_white(folder, mode):
    if mode == "P":
        Image.new("P", (4, 4), 0).save(folder / "a.png", transparency=0)
    else:
        Image.new(mode, (4, 4), 0).save(folder / "a.png")
    assert (load_image_folder(folder, size=4, mode="colour")[0] == 255).all()


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_sixteen_bits_become_eight_on_one_scale(folder, name):
    levels = 257 * ramp(4, 6, 0, 100).astype(np.uint16)  # a dark picture
    Image.fromarray(levels).save(folder / name)
    X, _ = load_image_folder(folder, size=(4, 6))
    np.testing.assert_array_equal(X[0], levels // 257)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_pictures_are_turned_upright(folder, orientation, name):
    stored = Image.fromarray(ramp(40, 60).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(folder / name, exif=exif)
    height, width = (40, 60) if orientation < 5 else (60, 40)
    X, _ = load_image_folder(folder, size=(height, width))
    dark, bright = {  # where the left and the right of what is stored are to be seen
        **dict.fromkeys((1, 4), ((20, 0), (20, 59))),
        **dict.fromkeys((2, 3), ((20, 59), (20, 0))),
        **dict.fromkeys((5, 6), ((0, 20), (59, 20))),
        **dict.fromkeys((7, 8), ((59, 20), (0, 20))),
    }[orientation]
    assert X[0][dark] < 10 and X[0][bright] > 245


def test_sixteen_bits_are_turned_as_well(folder):
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray((257 * ramp(4, 6)).astype(np.uint16)).save(folder / "a.png", exif=exif)
    np.testing.assert_array_equal(load_image_folder(folder, size=(4, 6))[0][0], ramp(4, 6)[:, ::-1])


@pytest.mark.parametrize("shape", [(100, 300), (300, 100)])
def test_the_middle_is_cut_out_and_nothing_is_squashed(folder, shape):
    rows, columns = np.indices(shape)
    distance = np.hypot(rows - shape[0] / 2 + 0.5, columns - shape[1] / 2 + 0.5)
    save(np.where(distance < 25, 255, 0), folder / "disc.png")
    (disc,), _ = load_image_folder(folder, size=50)
    bright = np.argwhere(disc > 127)
    np.testing.assert_array_equal(bright.min(axis=0), [12, 12])
    np.testing.assert_array_equal(bright.max(axis=0), [37, 37])


def test_a_size_with_the_proportions_of_the_picture_cuts_nothing_off(folder):
    save(ramp(20, 60), folder / "a.png")
    (small,), _ = load_image_folder(folder, size=(10, 30))
    assert small[:, 0].max() < 10 and small[:, -1].min() > 245


def test_fine_patterns_are_averaged(folder):
    save(np.indices((64, 64)).sum(axis=0) % 2 * 255, folder / "a.png")
    (small,), _ = load_image_folder(folder, size=8)
    assert np.abs(small.astype(int) - 128).max() < 3


@pytest.fixture
def broken(folder):
    """One picture that can be read, and the files that cannot."""
    save(ramp(64, 64), folder / "good.png")
    whole = (folder / "good.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("no picture")
    (folder / "empty.tif").touch()
    Image.fromarray(ramp(4, 4).astype(np.float32)).save(folder / "floats.tif")
    Image.fromarray(np.full((4, 4), 2**20, dtype=np.int32)).save(folder / "wide.tif")
    return ["cut.png", "empty.tif", "floats.tif", "text.jpg", "wide.tif"]


def test_a_file_that_cannot_be_read_is_named(folder, broken):
    for name in broken:
        with pytest.raises(ValueError, match=rf"cannot be read: .*{name}.*errors=\"skip\""):
            load_image_folder(folder, size=8)
        (folder / name).unlink()
    assert len(load_image_folder(folder, size=8)[0]) == 1


def test_files_that_are_skipped_are_listed(folder, broken):
    with pytest.warns(
        UserWarning, match="5 of 6 pictures cannot be read and were skipped"
    ) as caught:
        X, paths = load_image_folder(folder, size=8, mode="grey", errors="skip")
    assert X.shape == (1, 8, 8)
    assert [path.name for path in paths] == ["good.png"]
    assert all(name in str(caught[0].message) for name in broken)


def test_a_long_list_of_skipped_files_is_cut(folder):
    save(np.zeros((8, 8)), folder / "good.png")
    for i in range(12):
        (folder / f"{i:02}.png").touch()
    with pytest.warns(UserWarning, match=r"(?s)12 of 13 .*09\.png.*and 2 more") as caught:
        load_image_folder(folder, size=8, errors="skip")
    assert "10.png" not in str(caught[0].message)


def test_a_folder_without_a_readable_picture_is_an_error(folder):
    with pytest.raises(ValueError, match=r"holds no pictures, whose names end in \.bmp, "):
        load_image_folder(folder, size=8)
    (folder / "empty.png").touch()
    with pytest.raises(ValueError, match=r"(?s)None of the pictures can be read:.*empty\.png"):
        load_image_folder(folder, size=8, errors="skip")


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"size": 0}, "size must be a positive integer; got 0"),
        ({"size": (8, 8, 3)}, r"size must be .* height, width; got \(8, 8, 3\)"),
        ({"size": 8, "mode": "RGB"}, "mode is 'RGB'; give one of 'auto', 'grey', 'colour'"),
        ({"size": 8, "errors": "ignore"}, "errors is 'ignore'; give one of 'raise', 'skip'"),
    ],
)
def test_wrong_parameters_are_named(folder, parameters, message):
    with pytest.raises(ValueError, match=message):
        load_image_folder(folder, **parameters)


def test_a_file_is_no_folder(folder):
    save(np.zeros((8, 8)), folder / "a.png")
    with pytest.raises(ValueError, match=r"path is '.*a\.png', which is not a folder"):
        load_image_folder(folder / "a.png", size=8)


def test_without_pillow_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.delitem(sys.modules, "skood.datasets._pictures", raising=False)
    monkeypatch.delattr("skood.datasets._pictures", raising=False)
    with pytest.raises(ImportError, match=r'pip install "skood\[images\]"'):
        load_image_folder(folder, size=8)


def test_importing_the_data_sets_does_not_import_pillow():
    code = "import sys, skood.datasets; sys.exit('PIL' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
