"""Publishes a part: first its tar, then the manifest that names the tar.

Two pods may make the same part, when one is presumed lost and still runs. So nothing is ever replaced: the first
manifest in the store decides which tar is the part, and the second pod discards its own. Where a different tar is
already at the part's key (left by a killed pod, from a prompts file that was edited since), the new tar gets its digest
in its name, and the old one is deleted once the manifest is there.
"""

import hashlib
import json
from pathlib import Path

from synaug.data.manifest import Manifest
from synaug.data.store import Store

CHUNK = 16 << 20


def publish(store: Store, path: Path, manifest: Manifest) -> bool:
    """Put the tar at `path`, then the manifest.

    False: the part was published by another process meanwhile, and stays as that made it.
    """
    plain = manifest.tar
    key = plain.removesuffix(".tar") + ".json"
    if store.exists(key):
        return False
    tar = _put_tar(store, path, manifest)
    data = to_json(manifest.model_copy(update={"tar": tar}))
    # equal: by another pod with equal bytes, or by this one, where the server's answer was lost
    if store.put(key, data, if_absent=True) or store.get(key) == data:
        if tar != plain:
            store.delete(plain)
        return True
    if Manifest.model_validate_json(store.get(key)).tar != tar:
        store.delete(tar)
    return False


def _put_tar(store: Store, path: Path, manifest: Manifest) -> str:
    """Put the tar, and return the key that it has in the store."""
    if store.put(manifest.tar, path, if_absent=True) or _holds(store, manifest):
        return manifest.tar
    own = f"{manifest.tar.removesuffix('.tar')}-{manifest.sha256[:12]}.tar"
    store.put(own, path)
    return own


def _holds(store: Store, manifest: Manifest) -> bool:
    """Tell whether the same bytes are at the part's key, as after a kill between tar and manifest."""
    if store.size(manifest.tar) != manifest.bytes:
        return False
    digest = hashlib.sha256()
    for start in range(0, manifest.bytes, CHUNK):
        digest.update(store.get(manifest.tar, start=start, length=min(CHUNK, manifest.bytes - start)))
    return digest.hexdigest() == manifest.sha256


def to_json(manifest: Manifest) -> bytes:
    """Write a manifest as canonical JSON: equal parts give equal bytes."""
    return (json.dumps(manifest.model_dump(mode="json"), sort_keys=True) + "\n").encode()
