"""Container images without a registry: archives of one layer.

They are named as upstream names them, so that published manifests apply unchanged.
"""

import hashlib
import io
import json
import os
import platform
import shutil
import tarfile
import tempfile
from pathlib import Path

from k8s.process import run
from k8s.settings import cache_folder
from k8s.tools import binary, tool

PAUSE = "localhost/synaug-pause:v1"
SUITE = "bookworm"  # its Python is 3.11
BASE = f"localhost/synaug-base:{SUITE}"  # what images/ builds on here
MIRROR = "http://deb.debian.org/debian"
BASE_PACKAGES = "ca-certificates,python3,python3-pip,python3-venv"
OPERATOR_TAG = "v1-d6eb98e"  # named by the published standalone kustomization of training-operator 1.9.3
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}
IMAGES = {  # program -> (image, entry point, user)
    "pause": (PAUSE, ["/bin/pause"], "65535"),
    "argoexec": ("quay.io/argoproj/argoexec:{argo}", ["argoexec"], "8737"),
    "workflow-controller": ("quay.io/argoproj/workflow-controller:{argo}", ["workflow-controller"], "8737"),
    "training-operator.v1": (f"ghcr.io/kubeflow/training-v1/training-operator:{OPERATOR_TAG}", ["/manager"], "65532"),
    # Upstream's entry point is a shell script that turns VGW_BACKEND and VGW_BACKEND_ARGS of the chart into these two
    # arguments.
    "versitygw": ("ghcr.io/versity/versitygw:{versitygw}", ["versitygw", "posix", "/mnt/data"], "1000"),
}
LAYOUT = 1  # of the archives; raised when write_archive changes
FILES = {
    "etc/passwd": "root:x:0:0::/root:/sbin/nologin\nargo:x:8737:8737::/tmp:/sbin/nologin\n"
    "nonroot:x:65532:65532::/tmp:/sbin/nologin\n",
    "etc/group": "root:x:0:\nargo:x:8737:\nnonroot:x:65532:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
    "etc/mime.types": "application/json json\ntext/plain txt log\n",
}


def image_name(program: str) -> str:
    """Name the image of a program."""
    return IMAGES[program][0].format(argo=tool("argo").version, versitygw=tool("versitygw").version)


def contents() -> dict[str, Path]:
    """Return the archives of all programs that run as pods, by image name; they are kept beside the programs."""
    return {image_name(program): program_archive(program) for program in IMAGES}


def program_archive(program: str) -> Path:
    """Make the image of a program, once: a docker archive."""
    path = binary(program)
    archive = path.with_name(f"{program}-{recipe(IMAGES[program], FILES)}.image.tar")
    if not archive.exists():
        _, entry, user = IMAGES[program]
        target = entry[0] if entry[0].startswith("/") else f"/bin/{entry[0]}"
        with tempfile.TemporaryDirectory(dir=path.parent) as work:
            layer = Path(work) / "layer.tar"
            with tarfile.open(layer, "w") as tar:
                for folder, mode in {"bin": 0o755, "etc": 0o755, "tmp": 0o1777, "var/run": 0o755}.items():
                    tar.addfile(entry_of(folder, tarfile.DIRTYPE, mode))
                for name, text in FILES.items():
                    tar.addfile(entry_of(name, tarfile.REGTYPE, 0o644, len(text)), io.BytesIO(text.encode()))
                tar.add(
                    path, target.lstrip("/"), filter=lambda info: info.replace(mode=0o755, uid=0, gid=0, deep=False)
                )
            write_archive(
                archive, image_name(program), layer, {"Entrypoint": entry, "User": user, "Env": ["PATH=/bin"]}
            )
    return archive


def recipe(*parts: object) -> str:
    """Digest what an archive is made by, for its name in the cache."""
    return hashlib.sha256(repr((LAYOUT, *parts)).encode()).hexdigest()[:8]


def entry_of(name: str, kind: bytes, mode: int, size: int = 0) -> tarfile.TarInfo:
    """Make an entry of a tar."""
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size = kind, mode, size
    return info


def write_archive(archive: Path, name: str, layer: Path, config: dict) -> None:
    """Write a docker archive of one layer, under its name only when complete."""
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    document = json.dumps(
        {
            "architecture": ARCHITECTURE.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created_by": "synaug k8s"}],  # buildah refuses a base without
        }
    ).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    archive.parent.mkdir(parents=True, exist_ok=True)
    part = archive.with_suffix(".part")
    with tarfile.open(part, "w") as tar:
        for member, data in {"config.json": document, "manifest.json": manifest}.items():
            tar.addfile(entry_of(member, tarfile.REGTYPE, 0o644, len(data)), io.BytesIO(data))
        tar.add(layer, "layer.tar")
    part.rename(archive)


def build_base() -> Path:
    """Make the Debian base with Python by debootstrap, once: a docker archive.

    Raises BootError with debootstrap's log.
    """
    archive = cache_folder() / "images" / f"base-{SUITE}-{platform.machine()}-{recipe(BASE_PACKAGES)}.tar"
    if not archive.exists():
        mirror = os.environ.get("DEBIAN_MIRROR", MIRROR)
        archive.parent.mkdir(parents=True, exist_ok=True)
        log = archive.with_suffix(".log")
        work = Path(tempfile.mkdtemp(prefix="base-", dir=archive.parent))
        try:
            command = ["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", SUITE, work / "root", mirror]
            run(command, log=log, what=f"debootstrap of {SUITE} from {mirror} (DEBIAN_MIRROR names another)")
            excluded = [
                f"--exclude=./{folder}/*" for folder in ("dev", "proc", "sys", "var/cache/apt", "var/lib/apt/lists")
            ]
            run(["tar", "--numeric-owner", "-C", work / "root", *excluded, "-cf", work / "layer.tar", "."])
            path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            write_archive(archive, BASE, work / "layer.tar", {"Cmd": ["bash"], "Env": [f"PATH={path}"]})
        finally:
            shutil.rmtree(work)
    return archive
