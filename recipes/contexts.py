"""What the embedded generator and CLIP learn besides the plain product photo: captioned, drawn contexts.

A context is a set of attributes with a phrase for each; `draw` paints them on a photo. The reported
out-of-domain sets (`synaug.embedded.ood`) use other backgrounds, other noises and other code, by test.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

SIZE = 32

COLOURS = {
    "red": (0.85, 0.12, 0.12),
    "blue": (0.15, 0.3, 0.85),
    "green": (0.15, 0.6, 0.2),
    "yellow": (0.95, 0.85, 0.15),
    "orange": (0.95, 0.55, 0.1),
    "purple": (0.5, 0.2, 0.65),
    "pink": (0.95, 0.55, 0.7),
    "brown": (0.45, 0.28, 0.14),
    "white": (0.95, 0.95, 0.95),
    "grey": (0.5, 0.5, 0.5),
    "black": (0.05, 0.05, 0.05),
    "teal": (0.05, 0.5, 0.5),
    "navy blue": (0.08, 0.1, 0.35),
    "beige": (0.87, 0.8, 0.65),
    "turquoise": (0.25, 0.85, 0.8),
    "light blue": (0.6, 0.8, 0.95),
    "dark green": (0.05, 0.3, 0.12),
    "cream": (0.98, 0.95, 0.82),
}

SCENES = {
    "on a sandy beach": ("beige", "light blue", "speckle"),
    "in a green field": ("green", "light blue", "speckle"),
    "in a forest": ("dark green", "dark green", "trunks"),
    "on a city street": ("grey", "grey", "blocks"),
    "on a wooden table": ("brown", "brown", "grain"),
    "on a wooden floor against a white wall": ("brown", "white", "grain"),
    "in the snow": ("white", "light blue", "speckle"),
    "by the sea": ("blue", "light blue", "waves"),
    "under a night sky": ("black", "navy blue", "stars"),
    "in a living room": ("beige", "cream", "none"),
    "on a white bed": ("white", "grey", "none"),
    "on a grey carpet": ("grey", "grey", "speckle"),
    "in front of a red curtain": ("red", "red", "folds"),
    "in a shop window": ("cream", "turquoise", "blocks"),
    "on green grass": ("green", "green", "speckle"),
    "on a stone floor": ("grey", "grey", "speckle"),
    "in a garden": ("green", "pink", "speckle"),
    "at sunset": ("brown", "orange", "none"),
    "in a kitchen": ("white", "teal", "blocks"),
    "in a desert": ("orange", "light blue", "none"),
}
PATTERNS = ("striped", "spotted", "checked", "floral")
MATERIALS = {"shiny": 1.6, "faded": 0.55, "worn": 0.7, "dark": 0.35, "bright": 1.3}
LIGHTS = (
    "in soft light",
    "in bright sunlight",
    "in dim light",
    "lit from the left",
    "lit from the right",
    "lit from above",
    "in warm golden light",
    "in cold blue light",
    "under a spotlight",
    "backlit",
    "with a hard shadow",
    "on a cloudy day",
)
ANGLES = (
    "seen from the front",
    "tilted to the left",
    "tilted to the right",
    "upside down",
    "seen from far away",
    "in close-up",
    "seen from above",
    "seen from the side",
    "off centre",
    "lying on its side",
)
STYLES = (
    "line drawing",
    "watercolour painting",
    "oil painting",
    "black and white photo",
    "photo negative",
    "silhouette",
    "blueprint",
    "pixel art picture",
    "pop art poster",
    "charcoal drawing",
    "neon sign",
    "vintage photo",
    "grainy photo",
    "blurry photo",
    "embroidery",
    "collage",
)


@dataclass(frozen=True)
class Context:
    colour: str = ""
    pattern: str = ""
    material: str = ""
    background: str = ""
    light: str = ""
    angle: str = ""
    style: str = ""

    def caption(self, name: str, rng: np.random.Generator) -> str:
        """The class name first, then the attributes, in one of the wordings that prompts use."""
        adjectives = " ".join(a for a in (self.material, self.colour, self.pattern) if a)
        noun = f"{adjectives} {name}".strip() if rng.random() < 0.5 else name
        medium = self.style or str(rng.choice(["photo", "photo", "picture", "image"]))
        text = f"{with_article(medium)} of {with_article(noun)}"
        rest = [] if noun != name or not adjectives else [adjectives]
        rest += [a for a in (self.background, self.light, self.angle) if a]
        return ", ".join([text, *rest])


def with_article(noun: str) -> str:
    if noun.endswith("trousers"):
        return noun
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def random_background(rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.45:
        colour = str(rng.choice(list(COLOURS)))
        return f"on {with_article(f'plain {colour}' if rng.random() < 0.5 else colour)} background"
    if kind < 0.85:
        return str(rng.choice(list(SCENES)))
    wall = rng.choice(["striped wall", "polka dot wallpaper", "fading backdrop"])
    return f"against {with_article(str(rng.choice(list(COLOURS))))} {wall}"


def random_context(rng: np.random.Generator) -> Context:
    def maybe(probability, values):
        return str(rng.choice(list(values))) if rng.random() < probability else ""

    return Context(
        colour=maybe(0.45, COLOURS),
        pattern=maybe(0.2, PATTERNS),
        material=maybe(0.2, MATERIALS),
        background=random_background(rng) if rng.random() < 0.8 else "",
        light=maybe(0.4, LIGHTS),
        angle=maybe(0.4, ANGLES),
        style=maybe(0.2, STYLES),
    )


def captioned(names, count: int, texts: list[str], rng: np.random.Generator) -> list[list[tuple[int, Context]]]:
    """Draw `count` random contexts of each name; their captions are appended to texts.

    For each name: (row of the caption, context).
    """
    banks = []
    for name in names:
        bank = []
        for _ in range(count):
            context = random_context(rng)
            bank.append((len(texts), context))
            texts.append(context.caption(name, rng))
        banks.append(bank)
    return banks


def geometry(angle: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Output-to-input matrix (y, x) and the centre's shift in pixels."""
    turn, zoom, squeeze, shift = rng.normal(0, 3), 1.0, np.ones(2), np.zeros(2)
    if angle == "tilted to the left":
        turn = -rng.uniform(15, 45)
    elif angle == "tilted to the right":
        turn = rng.uniform(15, 45)
    elif angle == "upside down":
        turn = 180 + rng.normal(0, 5)
    elif angle == "lying on its side":
        turn = rng.choice([-90, 90]) + rng.normal(0, 5)
    elif angle == "seen from far away":
        zoom = rng.uniform(0.4, 0.65)
    elif angle == "in close-up":
        zoom = rng.uniform(1.2, 1.5)
    elif angle == "seen from above":
        squeeze = np.array([rng.uniform(0.55, 0.75), 1.0])
    elif angle == "seen from the side":
        squeeze = np.array([1.0, rng.uniform(0.5, 0.75)])
    elif angle == "off centre":
        zoom, shift = 0.8, rng.uniform(-7, 7, 2)
    radians = np.deg2rad(turn)
    rotation = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    return rotation / (zoom * squeeze[None, :].T), shift


def background_picture(phrase: str, rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    if phrase in SCENES:
        floor, wall, texture = SCENES[phrase]
        horizon = rng.uniform(0.45, 0.75)
        lower = np.array(COLOURS[floor]) * rng.uniform(0.8, 1.1)
        upper = np.array(COLOURS[wall]) * rng.uniform(0.85, 1.15)
        picture = np.where((y > horizon)[..., None], lower, upper)
        return np.clip(texture_on(picture, texture, y > horizon, x, y, rng), 0, 1)
    colour = next(c for c in sorted(COLOURS, key=len, reverse=True) if c in phrase)
    picture = np.broadcast_to(np.array(COLOURS[colour]) * rng.uniform(0.9, 1.1), (SIZE, SIZE, 3))
    if "striped wall" in phrase:
        wave = np.sin(2 * np.pi * (x * rng.uniform(3, 7) + rng.random())) > 0
        picture = picture * np.where(wave, 1.0, 0.6)[..., None]
    elif "polka dot" in phrase:
        n = rng.integers(4, 7)
        dots = ((x * n + rng.random()) % 1 - 0.5) ** 2 + ((y * n + rng.random()) % 1 - 0.5) ** 2 < 0.08
        picture = np.where(dots[..., None], 0.95, picture)
    elif "fading" in phrase:
        picture = picture * (0.4 + 0.6 * (y if rng.random() < 0.5 else 1 - y))[..., None]
    return np.clip(picture, 0, 1)


def texture_on(picture, texture, lower, x, y, rng):
    if texture == "speckle":
        return picture + np.where(lower, rng.normal(0, 0.1, (SIZE, SIZE)), 0)[..., None]
    if texture == "grain":
        wave = 0.1 * np.sin(2 * np.pi * (x * 5 + 0.4 * np.sin(3 * y) + rng.random()))
        return picture + np.where(lower, wave, 0)[..., None]
    if texture == "waves":
        return picture + np.where(lower, 0.12 * np.sin(2 * np.pi * (y * 7 + 0.2 * np.sin(9 * x))), 0)[..., None]
    if texture == "trunks":
        return picture * (0.55 + 0.6 * (np.sin(2 * np.pi * (x * rng.uniform(3, 5) + rng.random())) > -0.4))[..., None]
    if texture == "folds":
        return picture * (0.75 + 0.3 * np.sin(2 * np.pi * (x * rng.uniform(4, 6) + rng.random())))[..., None]
    if texture == "blocks":
        levels = rng.uniform(0.7, 1.2, (3, 4))
        return picture * levels[(y * 2.99).astype(int), (x * 3.99).astype(int)][..., None]
    if texture == "stars":
        return picture + (rng.random((SIZE, SIZE)) > 0.97)[..., None] * 0.8
    return picture


def pattern_on(pattern: str, rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    if pattern == "striped":
        along = y if rng.random() < 0.5 else x
        return np.where(np.sin(2 * np.pi * (along * rng.uniform(5, 8) + rng.random())) > 0, 1.0, 0.35)
    if pattern == "spotted":
        n = rng.integers(6, 9)
        return np.where(((x * n) % 1 - 0.5) ** 2 + ((y * n) % 1 - 0.5) ** 2 < 0.09, 0.3, 1.0)
    if pattern == "checked":
        n = rng.integers(5, 8)
        return np.where(((x * n).astype(int) + (y * n).astype(int)) % 2 == 0, 1.0, 0.45)
    return np.where(ndimage.gaussian_filter(rng.normal(0, 1, (SIZE, SIZE)), 1.3) > 0.12, 0.4, 1.0)


def lit(picture: np.ndarray, light: str, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[0:SIZE, 0:SIZE][..., None] / SIZE
    if light == "in bright sunlight":
        return picture * 1.25 + 0.08
    if light == "in dim light":
        return picture * rng.uniform(0.35, 0.55)
    if light == "lit from the left":
        return picture * (1.3 - 0.9 * x)
    if light == "lit from the right":
        return picture * (0.4 + 0.9 * x)
    if light == "lit from above":
        return picture * (1.3 - 0.9 * y)
    if light == "in warm golden light":
        return picture * np.array([1.15, 0.95, 0.65])
    if light == "in cold blue light":
        return picture * np.array([0.65, 0.85, 1.15])
    if light == "under a spotlight":
        return picture * np.clip(1.4 - 4.5 * ((x - 0.5) ** 2 + (y - 0.5) ** 2), 0.15, None)
    if light == "backlit":
        return np.where(mask[..., None] > 0.5, picture * 0.4, picture * 0.6 + 0.4)
    if light == "with a hard shadow":
        return picture * np.where(x + rng.uniform(-0.3, 0.3) > y, 1.0, 0.5)
    return picture * rng.uniform(0.8, 1.0)


def styled(picture: np.ndarray, style: str, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    grey = picture.mean(-1)
    edges = np.clip(2.2 * np.hypot(ndimage.sobel(grey, 0), ndimage.sobel(grey, 1)) / 2, 0, 1)[..., None]
    tint = np.array(list(COLOURS.values()))[rng.integers(0, len(COLOURS), 2)]
    if style == "line drawing":
        return 1 - edges + np.zeros(3)
    if style == "watercolour painting":
        soft = ndimage.gaussian_filter(picture, (0.9, 0.9, 0))
        return 0.35 * np.array(COLOURS["cream"]) + 0.65 * np.round(soft * 5) / 5
    if style == "oil painting":
        return np.clip(ndimage.median_filter(picture, (3, 3, 1)) * 1.2 - 0.05, 0, 1)
    if style == "black and white photo":
        return 0.1 + 0.8 * grey[..., None] + np.zeros(3)
    if style == "photo negative":
        return 1 - picture
    if style == "silhouette":
        return np.where(mask[..., None] > 0.5, 0.05, 0.5 + 0.5 * tint[0])
    if style == "blueprint":
        return np.array([0.08, 0.2, 0.55]) * (1 - edges) + edges
    if style == "pixel art picture":
        return np.repeat(np.repeat(picture[::2, ::2], 2, 0), 2, 1)
    if style == "pop art poster":
        return np.where(
            grey[..., None] > np.median(grey[mask > 0.5]) if mask.any() else grey[..., None], tint[0], tint[1]
        )
    if style == "charcoal drawing":
        return np.clip(
            0.85 - 0.8 * edges - 0.25 * grey[..., None] + rng.normal(0, 0.06, (SIZE, SIZE, 1)), 0, 1
        ) + np.zeros(3)
    if style == "neon sign":
        return edges * (0.3 + 0.7 * tint[0])
    if style == "vintage photo":
        return (0.15 + 0.7 * grey[..., None]) * np.array([1.0, 0.85, 0.6])
    if style == "grainy photo":
        return picture + rng.normal(0, 0.12, (SIZE, SIZE, 1))
    if style == "blurry photo":
        return ndimage.gaussian_filter(picture, (1.2, 1.2, 0))
    if style == "embroidery":
        y, x = np.mgrid[0:SIZE, 0:SIZE]
        return picture * np.where((x + y) % 3 == 0, 0.55, 1.05)[..., None]
    if style == "collage":
        return np.where(mask[..., None] > 0.5, np.round(picture * 3) / 3, picture * 0.3 + 0.7 * tint[1])
    return picture


def foreground(photo: np.ndarray) -> np.ndarray:
    """Soft mask of the garment. The photos' own background is exactly 0, garments can have black insides."""
    return np.maximum(np.clip(photo * 6, 0, 1), ndimage.binary_fill_holes(photo > 0.02))


def draw(photo: np.ndarray, context: Context, rng: np.random.Generator) -> np.ndarray:
    """Paint a context. photo: (32, 32) in [0, 1], garment on black. Returns (32, 32, 3) in [0, 1]."""
    mask = foreground(photo)
    if context.angle:
        matrix, shift = geometry(context.angle, rng)
        centre = (SIZE - 1) / 2 * np.ones(2)
        offset = centre - matrix @ (centre + shift)
        photo = ndimage.affine_transform(photo, matrix, offset, order=1)
        mask = ndimage.affine_transform(mask, matrix, offset, order=1)
    garment = photo
    if context.material:
        garment = np.clip(garment * MATERIALS[context.material], 0, 1)
    if context.pattern:
        garment = garment * pattern_on(context.pattern, rng)
    tint = np.array(COLOURS[context.colour]) if context.colour else np.ones(3)
    garment = (0.25 + 0.75 * garment)[..., None] * tint if context.colour else garment[..., None] * tint
    behind = background_picture(context.background, rng) if context.background else np.zeros((SIZE, SIZE, 3))
    picture = mask[..., None] * garment + (1 - mask[..., None]) * behind
    if context.light:
        picture = lit(picture, context.light, mask, rng)
    picture = np.clip(picture, 0, 1)
    return np.clip(styled(picture, context.style, mask, rng), 0, 1) if context.style else picture
