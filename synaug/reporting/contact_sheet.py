"""Real beside synthetic images on one PNG, one row per class."""

import io
import textwrap
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

CELL, GAP, LINE, CAPTION_LINES = 160, 12, 14, 4  # pixels; lines of a caption
INK, FAINT, PAPER = (20, 20, 20), (110, 110, 110), (255, 255, 255)


class PromptedImage(NamedTuple):
    image: Image.Image
    prompt: str


@dataclass(frozen=True)
class SheetRow:
    title: str  # empty: it goes on with the row above
    real: list[Image.Image]
    synthetic: list[PromptedImage]


def contact_sheet(rows: list[SheetRow]) -> bytes:
    """Draw a PNG: on the left the real images of each class, on the right the synthetic ones, each over its prompt."""
    left, right = max(len(row.real) for row in rows), max(len(row.synthetic) for row in rows)
    height = LINE * 2 + CELL + LINE * CAPTION_LINES + GAP
    sheet = Image.new("RGB", ((left + right) * (CELL + GAP) + 3 * GAP, height * len(rows) + 2 * GAP), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for n, row in enumerate(rows):
        top = GAP + n * height
        divide = GAP + left * (CELL + GAP)
        if row.title:
            draw.text((GAP, top), f"{row.title}: real", INK, font)
            draw.text((divide + GAP, top), "synthetic", INK, font)
        draw.line((divide, top, divide, top + height - GAP), FAINT)
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
    """Put an image into a square cell; small ones are enlarged, without blur, so that their pixels can be seen."""
    image = image.convert("RGB")
    factor = CELL / max(image.size)
    width, height = (max(1, round(side * factor)) for side in image.size)
    fitted = image.resize((width, height), Image.Resampling.NEAREST if factor >= 2 else Image.Resampling.LANCZOS)
    cell = Image.new("RGB", (CELL, CELL), (235, 235, 235))
    cell.paste(fitted, ((CELL - width) // 2, (CELL - height) // 2))
    return cell
