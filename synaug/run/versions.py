"""What the bytes of an image depend on besides its inputs."""

from importlib import metadata

PACKAGES = ("torch", "diffusers", "transformers", "pillow")


def versions(device) -> dict[str, str]:
    """Of the packages and the hardware: a GPU's name, or the CPU's instruction set."""
    import torch

    hardware = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"CPU {torch.backends.cpu.get_cpu_capability()}"
    )
    return {name: metadata.version(name) for name in PACKAGES} | {"device": hardware}
