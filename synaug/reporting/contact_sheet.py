"""Real beside synthetic images on one PNG, a row a class."""

import io
import textwrap
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

CELL, GAP, LINE, CAPTION_LINES = 160, 12, 14, 4  # pixels; lines of a caption
INK, FAINT, PAPER = (20, 20, 20), (110, 110, 110), (255, 255, 255)


@dataclass(frozen=True)
class SheetRow:
    title: str
    real: list[Image.Image]
    synthetic: list[tuple[Image.Image, str]]  # with its prompt


def contact_sheet(rows: list[SheetRow]) -> bytes:
    """A PNG: on the left the real images of each class, on the right the synthetic ones, each over its prompt."""
    left, right = max(len(row.real) for row in rows), max(len(row.synthetic) for row in rows)
    high = LINE * 2 + CELL + LINE * CAPTION_LINES + GAP
    sheet = Image.new("RGB", ((left + right) * (CELL + GAP) + 3 * GAP, high * len(rows) + 2 * GAP), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for n, row in enumerate(rows):
        top = GAP + n * high
        divide = GAP + left * (CELL + GAP)
        if row.title:  # else it goes on with the row above
            draw.text((GAP, top), f"{row.title}: real", INK, font)
            draw.text((divide + GAP, top), "synthetic", INK, font)
        draw.line((divide, top, divide, top + high - GAP), FAINT)
        for column, image in enumerate(row.real):
            sheet.paste(_fit(image), (GAP + column * (CELL + GAP), top + LINE + 4))
        for column, (image, prompt) in enumerate(row.synthetic):
            x = divide + GAP + column * (CELL + GAP)
            sheet.paste(_fit(image), (x, top + LINE + 4))
            lines = textwrap.wrap(prompt, 26, max_lines=CAPTION_LINES, placeholder=" ...")
            draw.multiline_text((x, top + LINE + 8 + CELL), "\n".join(lines), FAINT, font, spacing=2)
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def _fit(image: Image.Image) -> Image.Image:
    """In a square cell; small images are enlarged by whole factors so that their pixels can be seen."""
    image = image.convert("RGB")
    factor = CELL / max(image.size)
    size = [max(1, round(side * factor)) for side in image.size]
    fitted = image.resize(size, Image.Resampling.NEAREST if factor >= 2 else Image.Resampling.LANCZOS)
    cell = Image.new("RGB", (CELL, CELL), (235, 235, 235))
    cell.paste(fitted, ((CELL - size[0]) // 2, (CELL - size[1]) // 2))
    return cell
