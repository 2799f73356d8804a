import hashlib
import io
import re

import numpy as np
import pytest
from PIL import Image

from synaug.data import layout
from synaug.data.images import DecodedImage, decode_rgb, read, read_in_order, read_rgb
from synaug.data.manifest import TarTable
from synaug.data.webdataset import TarWriter, fetch_tar, image_bytes
from synaug.errors import DataError
from tests.pictures import encoded, jpeg, picture


def test_jpeg_and_png_are_stored_as_they_are():
    for data, extension in ((jpeg(1), "jpg"), (encoded(1, "PNG"), "png")):
        assert read(data) == DecodedImage(hashlib.sha256(data).hexdigest(), data, extension)


@pytest.mark.parametrize(("format", "mode"), [("WEBP", "RGBA"), ("GIF", "P"), ("BMP", "RGB"), ("TIFF", "CMYK")])
def test_other_formats_become_jpeg(format, mode):
    buffer = io.BytesIO()
    picture(1).convert(mode).save(buffer, format)
    found = read(buffer.getvalue())
    with Image.open(io.BytesIO(found.image)) as image:
        assert (image.format, image.mode, image.size, found.extension) == ("JPEG", "RGB", (16, 16), "jpg")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("left", [0.0, 0.3, 0.6, 0.95])
def test_an_image_cut_short_is_broken_wherever_it_is_cut(format, left):
    data = encoded(1, format)
    found = read(data[: int(left * len(data))])
    assert found.broken
    assert "\n" not in found.broken
    assert not found.image


def test_damage_within_a_png_is_seen():
    data = bytearray(encoded(1, "PNG"))
    data[len(data) // 2] ^= 255
    assert read(bytes(data)).broken


def test_many_are_read_in_order_from_files_and_bytes(tmp_path):
    sources = []
    for n in range(200):
        if n % 2:
            (tmp_path / str(n)).write_bytes(jpeg(n))
        sources.append(tmp_path / str(n) if n % 2 else jpeg(n))
    assert [found.image for found in read_in_order(sources)] == [jpeg(n) for n in range(200)]


def test_a_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*gone\.jpg: No such file"):
        list(read_in_order([tmp_path / "gone.jpg"]))


def stored(store, key: str, images: list[bytes]) -> TarTable:
    file = io.BytesIO()
    with TarWriter(file) as writer:
        for n, image in enumerate(images):
            writer.add(f"owl-{n}", image, 0)
        columns = writer.close()
    store.put(key, file.getvalue())
    return TarTable(tar=key, **columns)


def test_an_image_is_read_alone_or_from_its_whole_tar_with_equal_pixels(store):
    table = stored(store, layout.real_tar("train", 0), [jpeg(1), encoded(2, "PNG")])
    tar = fetch_tar(store, table)
    for row, expected in enumerate([Image.open(io.BytesIO(jpeg(1))), picture(2)]):
        alone = read_rgb(store, table, row)
        assert alone.mode == "RGB" and np.array_equal(np.asarray(alone), np.asarray(expected))
        assert decode_rgb(image_bytes(tar, table, row), store, table, row) == alone


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        (layout.real_tar("train", 3), "repair or remove it and import the split again"),
        (
            layout.synthetic_tar("r", 1, 2, 3),
            r"delete .*x1/002-0003\.tar and its manifest, and run the images stage again",
        ),
    ],
)
def test_a_broken_image_is_reported_with_its_tar_its_key_the_reason_and_what_to_do(store, key, advice):
    table = stored(store, key, [jpeg(1), b"no image", jpeg(2)[:-100]])
    start = re.escape(f"{store.url}/{key}: image ")
    with pytest.raises(
        DataError, match=rf"^{start}owl-1 cannot be decoded \(no image format that is known\); {advice}$"
    ):
        read_rgb(store, table, 1)
    with pytest.raises(DataError, match=rf"^{start}owl-2 cannot be decoded \(.*[Tt]runcated.*\); {advice}$"):
        read_rgb(store, table, 2)
