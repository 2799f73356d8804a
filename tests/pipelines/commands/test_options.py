"""Which cluster, which configuration, which name: what is taken where nothing is given."""

from argparse import Namespace

import pytest

from pipelines.api import kubeconfig
from pipelines.commands import options
from pipelines.names import check_run
from synaug.errors import UsageError
from tests.pipelines.api_server import kubeconfig as write_kubeconfig


@pytest.fixture
def development(no_cluster, tmp_path, monkeypatch):
    path = tmp_path / "checkout" / "kubeconfig"
    path.parent.mkdir()
    write_kubeconfig(path, "http://198.18.0.1:6443", context="synaug-development")
    monkeypatch.setattr(kubeconfig, "DEVELOPMENT", path)
    return path


@pytest.fixture
def own(no_cluster, tmp_path):
    """~/.kube/config"""
    (tmp_path / ".kube").mkdir()
    return write_kubeconfig(tmp_path / ".kube" / "config", "http://192.0.2.1:6443", context="team")


def test_the_development_cluster_comes_before_the_person_s_own(development, own):
    target = kubeconfig.choose()
    assert (target.file, target.development, target.name) == (str(development), True, "the development cluster")


def test_a_context_is_one_of_the_person_s_own(development, own):
    target = kubeconfig.choose("team")
    assert (target.file, target.context, target.development) == (str(own), "team", False)


def test_kubeconfig_comes_before_both(development, own, tmp_path, monkeypatch):
    other = write_kubeconfig(tmp_path / "other", "http://192.0.2.2:6443", context="other")
    monkeypatch.setenv("KUBECONFIG", str(other))
    assert kubeconfig.choose().name == "context other"


def test_the_development_cluster_is_known_by_its_file_however_it_is_named(development, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(development.parent / "." / "kubeconfig"))
    assert kubeconfig.choose().development


def test_several_files_are_merged_as_kubectl_does(own, development, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", f"{own}:{development}")
    assert kubeconfig.choose("synaug-development").context == "synaug-development"


def test_without_any_file_a_pod_s_own_account_is_taken(no_cluster, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert kubeconfig.choose().file is None


def test_a_named_file_that_is_not_there_is_refused(own, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/none/of/this")
    with pytest.raises(UsageError, match="KUBECONFIG=/none/of/this: there is no such file"):
        kubeconfig.choose()


ELSEWHERE = kubeconfig.Target(file=None, context=None, name="elsewhere")
DEVELOPMENT = kubeconfig.Target(file=None, context=None, name="the development cluster", development=True)


def job(target=ELSEWHERE, **given):
    return options.read_reference(Namespace(config=None, run=None, scale=None, overrides=[], **given), target)


def test_run_yaml_is_taken_and_its_folder_is_the_name(no_cluster, tmp_path, monkeypatch):
    folder = tmp_path / "My Birds_2026"
    folder.mkdir()
    (folder / "classes.yaml").write_text("- {id: crane, names: [crane]}\n")
    (folder / "run.yaml").write_text("scale: 3x\n")
    monkeypatch.chdir(folder)
    for target in (ELSEWHERE, DEVELOPMENT):
        made = job(target)
        assert (made.run, made.config.scale) == ("my-birds-2026", "3x")
        assert "crane" in made.text, "the class list travels inline"


def test_on_the_development_cluster_the_preset_is_taken(no_cluster):
    made = job(DEVELOPMENT)
    assert (made.run, made.config.scale, made.config.real.per_class) == ("cluster", "1x", 16)
    assert list(made.config.arms) == ["real", "naive-1x", "auxbn-1x", "naive-2x", "auxbn-2x"]


def test_elsewhere_a_configuration_must_be_given(no_cluster):
    with pytest.raises(UsageError, match="give CONFIG=FILE or a preset"):
        job()


def test_growth_keeps_the_workflow_s_name_and_another_identity_does_not(no_cluster):
    def name(*overrides, scale="1x"):
        return options.read_reference(
            Namespace(config="demo", run=None, scale=scale, overrides=overrides), ELSEWHERE
        ).workflow

    assert name() == name(scale="2x") == name("seeds=[0,1,2,3]", "compute.gpus=64")
    assert name() != name("seed=1")


@pytest.mark.parametrize("folder", ["123", "a" * 50, "---"])
def test_a_folder_s_name_becomes_a_run_s_name_or_is_refused(tmp_path, folder):
    (tmp_path / folder).mkdir()
    try:
        made = options.default_run(str(tmp_path / folder / "run.yaml"))
    except UsageError as error:
        assert "give RUN=NAME" in str(error)
    else:
        assert check_run(made) == made


def test_an_arm_that_argo_could_not_name_is_refused(no_cluster):
    with pytest.raises(UsageError, match="arm 'real_1'"):
        options.read_reference(
            Namespace(config="demo", run=None, scale=None, overrides=["arms={real_1: {kind: real}}"]), ELSEWHERE
        )
