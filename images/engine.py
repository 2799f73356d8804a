"""docker or buildah, whichever is there: build, push, save, load."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from synaug.errors import DataError, TransientError, UsageError

ROOT = Path(__file__).resolve().parent.parent
CONTAINERFILE = ROOT / "images" / "Containerfile"


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Names are image names with a tag, like localhost/synaug:0.1.0.

    Raises DataError for a build that fails (its output was shown), TransientError for a push or load that fails.
    """

    name: str  # docker or buildah

    def build(self, target: str, tag: str, *, base: str | None, secrets: dict[str, Path]) -> None:
        """Build an image; base: None takes the Containerfile's own. secrets: id -> file."""
        command = {"docker": ["docker", "build"], "buildah": ["buildah", "bud", "--layers"]}[self.name]
        command += ["--file", str(CONTAINERFILE), "--target", target, "--tag", tag]
        command += ["--build-arg", f"BASE={base}"] if base else []
        for key, path in secrets.items():
            command += ["--secret", f"id={key},src={path}"]
        if subprocess.run([*command, str(ROOT)], env=self._environment()).returncode:
            raise DataError(
                f"image {tag} was not built: {' '.join(command[:2])} failed, see above; BASE= takes another base image"
            )

    def push(self, tag: str) -> str:
        """Push an image; return the digest that the registry knows it by."""
        if self.name == "docker":
            self._run(["docker", "push", "--quiet", tag], f"pushing {tag}")
            known = self._run(
                ["docker", "image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', tag], f"inspecting {tag}"
            )
            return next(
                line.rpartition("@")[2] for line in known.splitlines() if line.startswith(tag.rpartition(":")[0] + "@")
            )
        with tempfile.TemporaryDirectory() as folder:
            digest = Path(folder) / "digest"
            self._run(["buildah", "push", "--digestfile", str(digest), tag, f"docker://{tag}"], f"pushing {tag}")
            return digest.read_text().strip()

    def save(self, tag: str, archive: Path) -> None:
        """Save an image as a docker archive, as `ctr image import` takes it; replace what was there."""
        archive.unlink(missing_ok=True)  # buildah refuses to write over an archive
        commands = {
            "docker": ["docker", "save", "--output", str(archive), tag],
            "buildah": ["buildah", "push", tag, f"docker-archive:{archive}:{tag}"],
        }
        self._run(commands[self.name], f"saving {tag}")

    def load(self, archive: Path) -> None:
        """Load a docker archive's image, under the name in it."""
        command = {
            "docker": ["docker", "load", "--input", str(archive)],
            "buildah": ["buildah", "pull", f"docker-archive:{archive}"],
        }
        self._run(command[self.name], f"loading {archive}")

    def _environment(self) -> dict[str, str]:
        # chroot: the one isolation that needs neither user namespaces nor an OCI runtime. BuildKit: secrets and cache
        # mounts.
        return {"BUILDAH_ISOLATION": "chroot", "DOCKER_BUILDKIT": "1"} | os.environ

    def _run(self, command: list[str], what: str) -> str:
        done = subprocess.run(command, env=self._environment(), capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1].rpartition("Error: ")[2]
            raise TransientError(
                f"{what} failed: {reason}; is the registry there, and are you logged in ({self.name} login)?"
            )
        return done.stdout


def find_engine() -> Engine:
    """Find docker or buildah. Raises UsageError when there is neither."""
    if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True).returncode == 0:
        return Engine(name="docker")
    if shutil.which("buildah"):
        return Engine(name="buildah")
    raise UsageError(
        "images are built by docker (with its daemon running) or buildah, and neither is there: apt-get install buildah"
    )


@contextmanager
def build_secrets() -> Iterator[dict[str, Path]]:
    """Collect what a build on this machine needs to reach its package index, as files by secret id.

    pip's settings and certificate authorities.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        if settings := _pip_settings():
            found["pip"] = Path(folder) / "pip.conf"
            found["pip"].write_text("\n".join(["[global]", *settings]) + "\n")
        authorities = (
            os.environ.get("SSL_CERT_FILE") or os.environ.get("PIP_CERT") or os.environ.get("REQUESTS_CA_BUNDLE")
        )
        if authorities and Path(authorities).is_file():
            found["certificates"] = Path(authorities)
        yield found


INSIDE = "/etc/ssl/certs/ca-certificates.crt"  # where the Containerfile mounts the certificates
# others name this machine's files
KEPT = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")


def _pip_settings() -> list[str]:
    """What pip goes by here, from its files and environment, as lines of a pip.conf."""
    listed = subprocess.run(["python3", "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    settings = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        settings[key.rpartition(".")[2]] = value.strip("'\"")
    return [f"{key} = {value}" for key, value in settings.items() if key in KEPT] + (
        [f"cert = {INSIDE}"] if "cert" in settings else []
    )
