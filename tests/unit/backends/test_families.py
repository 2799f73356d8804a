import inspect

import diffusers
import pytest

from synaug.backends.families import FAMILIES, WANTS_MORE, family_of_call, is_image_to_image


def parameters_of(pipeline):
    cls = getattr(diffusers, pipeline)
    if "dummy" in cls.__module__:
        pytest.skip(f"{pipeline} needs a package that is not installed")
    return {name: p.default for name, p in inspect.signature(cls.__call__).parameters.items()}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_family_names_only_arguments_that_its_pipeline_takes(family):
    parameters = parameters_of(family.pipeline)
    embeddings = {name for name in family.encodes or () if name and not (name.startswith("negative_"))}
    embeddings |= {name for name in family.encodes or () if name and family.negative_prompt}
    guidance = {family.guidance} if family.guidance else set()
    assert embeddings | guidance | set(family.fixed) | {"prompt", "generator"} <= parameters.keys()
    assert not family.negative_prompt or "negative_prompt" in parameters
    assert family.native_size % family.size_multiple == 0


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_no_family_leaves_sizes_binned_or_prompts_rewritten(family):
    parameters = parameters_of(family.pipeline)
    fixed = {"use_resolution_binning", "enable_prompt_rewrite", "use_pe"} & parameters.keys()
    assert all(family.fixed.get(name) is False for name in fixed)


@pytest.mark.parametrize(
    ("pipeline", "off"), [("LongCatImagePipeline", "enable_prompt_rewrite"), ("PRXPipeline", None)]
)
def test_an_unknown_class_has_the_defaults_of_its_call_and_no_rewriting(pipeline, off):
    parameters = parameters_of(pipeline)
    family = family_of_call(pipeline, parameters)
    assert not family.known and family.guidance == "guidance_scale" and family.negative_prompt
    assert family.steps == parameters["num_inference_steps"]
    assert family.guidance_scale == parameters["guidance_scale"]
    assert family.fixed[off or "use_resolution_binning"] is False


def test_names_of_classes_tell_text_to_image_from_the_rest():
    assert not any(is_image_to_image(name) for name in FAMILIES)
    for name in ("FluxFillPipeline", "StableDiffusionImg2ImgPipeline", "QwenImageEditPipeline", "FluxKontextPipeline"):
        assert is_image_to_image(name), WANTS_MORE
