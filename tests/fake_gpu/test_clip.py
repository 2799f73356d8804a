"""CLIP ViT-L/14 at its full size on a fake GPU, in 16 bits, through our backend."""

from PIL import Image

from synaug.backends.clip import OpenCLIP, tag_arguments
from synaug.run.plan import ModelInfo
from tests.fake_gpu.device import fake_gpu


def test_texts_and_images_are_embedded_in_16_bits_and_come_back_in_float32(monkeypatch):
    from open_clip.pretrained import get_pretrained_cfg

    info = ModelInfo(role="clip", name="ViT-L-14 openai", revision="0", license="mit")
    with fake_gpu(monkeypatch) as gpu:
        clip = OpenCLIP(info, "ViT-L-14", tag_arguments(get_pretrained_cfg("ViT-L-14", "openai") or {}), gpu)
        assert sum(p.numel() for p in clip.model.parameters()) == 427_616_513
        assert str(clip.dtype) == "torch.bfloat16"
        texts = clip.embed_texts(["a dog", "a cat"])
        images = clip.embed_images([Image.new("RGB", (300, 200))] * 3)
    for vectors, rows in ((texts, 2), (images, 3)):
        assert vectors.shape == (rows, 768) and str(vectors.dtype) == "torch.float32"
        assert vectors.device.type == "cpu"
