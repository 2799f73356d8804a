import pytest

from synaug.backends.profiles import PROFILES, resolve_sampling
from synaug.config.images import Images
from synaug.errors import UsageError


@pytest.mark.parametrize("name", PROFILES)
def test_the_defaults_of_every_profile_are_accepted(name):
    chosen = resolve_sampling(Images(profile=name))
    assert (chosen.width, chosen.num_inference_steps) == (PROFILES[name].native_size, PROFILES[name].steps)
    assert chosen.guidance_scale == chosen.guidance_scale_diversified == PROFILES[name].guidance_scale


def test_sd15_is_guided_by_two_and_turbo_not_at_all():
    assert resolve_sampling(Images(profile="sd15")).guidance_scale == 2.0
    assert resolve_sampling(Images(profile="sdxl-turbo")).guidance_scale == 0.0


def test_only_restricted_licences_ask():
    assert {name for name, profile in PROFILES.items() if profile.restricted} == {
        "sdxl-turbo",
        "sd35-medium",
        "sana",
    }


def test_the_guidance_of_diversified_prompts_follows_unless_given():
    both, apart = (
        resolve_sampling(Images(profile="sd15", guidance_scale=3.0)),
        resolve_sampling(Images(profile="sd15", guidance_scale_diversified=4.0)),
    )
    assert (both.guidance_of("plain"), both.guidance_of("cd")) == (3.0, 3.0)
    assert (apart.guidance_of("plain"), apart.guidance_of("sd")) == (2.0, 4.0)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"profile": "sdxl-turbo", "guidance_scale": 2.0}, "guidance_scale=2.0"),
        ({"profile": "sdxl-turbo", "guidance_scale_diversified": 1.5}, "guidance_scale_diversified=1.5"),
        ({"profile": "sdxl-turbo", "negative_prompt": "blurry"}, "negative_prompt='blurry'"),
        ({"profile": "embedded", "negative_prompt": "blurry"}, "negative_prompt='blurry'"),
        ({"profile": "sd15", "negative_prompt": "blurry", "guidance_scale": 1.0}, "above 1 only"),
        ({"profile": "sdxl", "safety_checker": True}, "safety_checker=True"),
        ({"profile": "embedded", "model": "somebody/model"}, "model='somebody/model'"),
        ({"profile": "embedded", "revision": "main"}, "revision='main'"),
        ({"profile": "embedded", "width": 64}, "width=64"),
        ({"profile": "embedded", "compile": True}, "compile=True"),
        ({"profile": "sd15", "height": 500}, "multiple of 8"),
        ({"profile": "sd21"}, "sd15"),
    ],
)
def test_a_setting_that_the_profile_would_ignore_is_refused(settings, named):
    with pytest.raises(UsageError, match=named.replace("(", "\\(")):
        resolve_sampling(Images(**settings))


def test_no_guidance_asked_of_turbo_is_no_mistake():
    assert resolve_sampling(Images(profile="sdxl-turbo", guidance_scale=0.0)).guidance_scale == 0.0


def test_the_embedded_profile_takes_other_weights_from_a_folder_that_holds_them(tmp_path):
    folder = tmp_path / "generator"
    with pytest.raises(
        UsageError, match=r"images\.model=.* is no folder of generator weights \(unet/, scheduler/\)"
    ) as caught:
        resolve_sampling(Images(profile="embedded", model=str(folder)))
    assert "\n" not in str(caught.value)
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "config.json").write_text("{}")
    assert resolve_sampling(Images(profile="embedded", model=str(folder))).folder == folder
    assert resolve_sampling(Images(profile="embedded")).folder == PROFILES["embedded"].folder
    assert resolve_sampling(Images(profile="sd15", model="a/b")).folder is None
