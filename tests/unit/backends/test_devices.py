import pytest
import torch

from synaug.backends import devices
from synaug.backends.devices import LocalDevices, choose_local_devices, find_device, find_gpus
from synaug.config.run import Compute
from synaug.errors import UsageError


@pytest.fixture(params=[0, 2])
def gpus(request, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)
    return request.param


def test_auto_is_the_gpu_where_there_is_one(gpus):
    assert find_device("auto").type == ("cuda" if gpus else "cpu")
    assert find_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "cuda:2"])
def test_a_gpu_is_taken_only_where_it_is(gpus, name):
    if int(name[5:] or 0) < gpus:
        assert find_device(name) == torch.device(name)
    else:
        with pytest.raises(
            UsageError, match=rf"compute\.device='{name}', but this machine has {gpus} usable GPUs; give auto or cpu"
        ):
            find_device(name)


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "tpu:0", ""])
def test_another_name_is_refused(name):
    with pytest.raises(UsageError, match="is no device; give auto, cpu, cuda or cuda:N"):
        find_device(name)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """machine(files, usable): device files of so many GPUs, of which torch can use some."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "DEVICE_FILES", tmp_path)
    monkeypatch.setattr(devices, "DRIVER", tmp_path / "version")
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.82.01  Wed Oct 27\n")

    def make(files: int, usable: int) -> None:
        for n in range(files):
            (tmp_path / f"nvidia{n}").touch()
        (tmp_path / "nvidiactl").touch()
        monkeypatch.setattr(torch.cuda, "device_count", lambda: usable)

    return make


@pytest.mark.parametrize("setting", [{}, {"device": "cuda"}])
def test_a_gpu_that_torch_cannot_use_is_never_a_silent_run_on_the_cpu(machine, setting):
    machine(1, 0)
    line = rf"NVIDIA GPU \(driver 470\.82\.01\) that torch cannot use \(torch {torch.__version__.split('+')[0]}"
    with pytest.raises(UsageError, match=line):
        find_device(Compute(**setting).device)
    with pytest.raises(UsageError, match=line):
        choose_local_devices(Compute(**setting), 1)


def test_hidden_gpus_are_no_gpus(machine, monkeypatch):
    machine(2, 0)
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert find_device("auto").type == "cpu" and find_gpus() == []
        assert choose_local_devices(Compute(workers=3), 1) == LocalDevices(3)


def test_all_visible_gpus_are_used_one_process_each(machine):
    machine(4, 4)
    assert choose_local_devices(Compute(), 1) == LocalDevices(4, ["0", "1", "2", "3"], "cuda")


@pytest.mark.parametrize(
    ("setting", "gpus"),
    [
        ({"local_gpus": 2}, ["0", "1"]),
        ({"local_gpus": [0, 2]}, ["0", "2"]),
        ({"local_gpus": [2, 2]}, ["2"]),
        ({"device": "cuda:3"}, ["3"]),
        ({"workers": 3}, ["0", "1", "2"]),
    ],
)
def test_some_of_them_when_asked(machine, setting, gpus):
    machine(4, 4)
    assert choose_local_devices(Compute(**setting), 1).gpus == gpus


def test_gpus_are_named_as_cuda_visible_devices_names_them(machine, monkeypatch):
    machine(4, 4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-a,GPU-b,7,-1,2")
    assert find_gpus() == ["MIG-a", "GPU-b", "7"]
    assert choose_local_devices(Compute(local_gpus=[1]), 1).gpus == ["GPU-b"]


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        (
            {"local_gpus": [0, 4]},
            r"local_gpus=\[0, 4\]: there is no GPU 4; this machine shows 4, numbered from 0",
        ),
        ({"local_gpus": 5}, "there is no GPU 4"),
        ({"device": "cuda:4"}, "compute.device=cuda:4: there is no GPU 4"),
        ({"workers": 5}, "compute.workers=5, but the run has 4 GPUs"),
    ],
)
def test_a_gpu_that_is_not_there_is_refused(machine, setting, line):
    machine(4, 4)
    with pytest.raises(UsageError, match=line):
        choose_local_devices(Compute(**setting), 1)


def test_gpus_asked_for_on_a_machine_without_one_are_refused(machine):
    machine(0, 0)
    with pytest.raises(UsageError, match=r"compute\.local_gpus=2, but this machine has no usable GPU"):
        choose_local_devices(Compute(local_gpus=2), 1)


def test_a_training_over_several_gpus_holds_them_alone():
    assert LocalDevices(5, list("01234"), "cuda").grouped(2) == LocalDevices(2, ["0,1", "2,3"], "cuda")
    assert LocalDevices(2).grouped(4) == LocalDevices(2)
    with pytest.raises(UsageError, match="gpus_per_training=4, but the run has 2 GPUs"):
        LocalDevices(2, ["0", "1"]).grouped(4)
