import pytest
import torch

from synaug.backends.devices import find_device
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
