import io

from PIL import Image

from synaug.reporting.contact_sheet import CELL, GAP, LINE, PromptedImage, SheetRow, contact_sheet


def picture(colour, size=(32, 32)):
    return Image.new("RGB", size, colour)


def test_real_and_synthetic_images_stand_side_by_side():
    rows = [
        SheetRow("boot", [picture("red")] * 2, [PromptedImage(picture("blue"), "a photo of a boot")] * 3),
        SheetRow("bag", [], []),
    ]
    sheet = Image.open(io.BytesIO(contact_sheet(rows)))
    middle = GAP + LINE + 4 + CELL // 2
    assert sheet.getpixel((GAP + CELL // 2, middle)) == (255, 0, 0)
    assert sheet.getpixel((2 * GAP + 2 * (CELL + GAP) + CELL // 2, middle)) == (0, 0, 255)
    assert sheet.width > 5 * CELL


def test_small_images_keep_their_pixels_and_large_ones_fit():
    half = picture("white")
    half.paste("black", (0, 0, 16, 32))
    sheet = Image.open(io.BytesIO(contact_sheet([SheetRow("boot", [half, picture("red", (640, 320))], [])])))
    colours = {sheet.getpixel((GAP + x, GAP + LINE + 4 + 10)) for x in range(CELL)}
    assert colours == {(0, 0, 0), (255, 255, 255)}  # no grey between
