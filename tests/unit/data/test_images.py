import hashlib
import io

import pytest
from PIL import Image

from synaug.data.images import DecodedImage, read, read_in_order
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
