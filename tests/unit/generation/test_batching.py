from synaug.generation.batching import ImageRequest, cut_batches
from synaug.prompts.schema import Prompt


def images(*guidance):
    return [ImageRequest("a", n, 0, Prompt(text=f"p{n}", kind="plain"), g) for n, g in enumerate(guidance)]


def test_one_guidance_scale_a_batch_order_kept():
    batches = cut_batches(images(1.0, 1.5, 1.0, 1.5, 1.5, 1.0), 2)
    assert [[image.index for image in batch.images] for batch in batches] == [[0, 2], [5], [1, 3], [4]]
    assert [batch.guidance_scale for batch in batches] == [1.0, 1.0, 1.5, 1.5]


def test_the_last_batch_is_padded_to_the_next_quarter_with_its_last_image():
    for count, size in ((1, 4), (4, 4), (5, 8), (9, 12), (13, 16), (16, 16)):
        (batch,) = cut_batches(images(*[1.0] * count), 16)
        assert (len(batch.images), len(batch.padded), batch.size) == (count, size, size)
        assert all(image is batch.images[-1] for image in batch.padded[count:])


def test_padding_never_passes_the_full_size():
    for full in range(1, 12):
        sizes = {batch.size for count in range(1, 30) for batch in cut_batches(images(*[1.0] * count), full)}
        assert max(sizes) == full and len(sizes) <= 4
