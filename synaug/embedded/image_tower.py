"""The embedded CLIP's image side: a small convolutional network into the sentence encoder's 384 dimensions."""

import torch
import torch.nn.functional as F
from torch import nn

SIZE = 32  # pixels
WIDTHS = (48, 80, 128)


class Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2, self.conv2 = (
            nn.BatchNorm2d(width),
            nn.Conv2d(width, width, 3, padding=1, groups=width // 16, bias=False),
        )

    def forward(self, x):
        x = x + self.conv1(F.relu(self.norm1(x)))
        return x + self.conv2(F.relu(self.norm2(x)))


class ImageTower(nn.Module):
    """(n, 3, 32, 32) in [-1, 1] to (n, 384), not normalised. 2x2 pixels are unshuffled into channels first."""

    def __init__(self, dim: int = 384):
        super().__init__()
        layers: list[nn.Module] = [nn.PixelUnshuffle(2), nn.Conv2d(12, WIDTHS[0], 3, padding=1)]
        for width, following in zip(WIDTHS, (*WIDTHS[1:], None), strict=True):
            layers.append(Residual(width))
            if following:
                layers.append(nn.Conv2d(width, following, 2, stride=2))
        self.body = nn.Sequential(*layers, nn.BatchNorm2d(WIDTHS[-1]), nn.ReLU())
        self.head = nn.Linear(2 * WIDTHS[-1], dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x)
        return self.head(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))
