"""With SOURCE_DATE_EPOCH a build gives the same bytes, wherever and whenever it is done."""

import hashlib
import io
import json
import os
import shutil
import tarfile
import time
from collections.abc import Callable
from typing import Any

from support import traces
from support.builds import Project
from support.program import Rl

REPRODUCED = """
    FROM busybox AS one
    RUN mkdir -p /d/e && date >/dev/null && echo x >/d/f && ln /d/f /d/hard && ln -s f /d/soft
    RUN rm -r /d/e && touch -d 2001-02-03 /d/old && chmod 4750 /d/f
    FROM busybox
    ARG SOURCE_DATE_EPOCH
    WORKDIR /w
    COPY . /context
    COPY --link --chmod=640 a d /linked/
    COPY --from=one /d /d
    ADD in.tar /unpacked/
    COPY <<EOF /w/
    inline
    EOF
    RUN --mount=type=cache,target=/c --mount=type=bind,target=/b cp /b/a /w/a; touch /c/x /etc/new
    RUN echo $SOURCE_DATE_EPOCH >/epoch
    LABEL x=1
    CMD ["cat", "/epoch"]
"""


def test_source_date_epoch_gives_the_same_image_everywhere(
    project: Project,
    fresh_store: Callable[..., Rl],
    one_id_rl: Rl,
    tmp_path: object,
    busybox_reference: str,
) -> None:
    """Two stores, two moments, two mappings; other times, order, umask, zone and language."""
    files: dict[str, str | bytes | None] = {f"d/{n}": str(n) for n in range(30)}
    files |= {"a": "a", "run": "#!/bin/sh\n", "link": "-> a", "in.tar": small_tar()}
    files[".dockerignore"] = "Dockerfile\n"
    project.write(files).dockerfile(REPRODUCED.replace("FROM busybox", f"FROM {busybox_reference}"))
    epoch = {"SOURCE_DATE_EPOCH": "1700000000"}
    first = reproduced(project, f"{tmp_path}/1", epoch)
    second = int(time.time())

    traces.wait_until(lambda: int(time.time()) != second)
    other = Project(fresh_store(), f"{tmp_path}/other")
    other.write(dict(reversed(files.items())))
    shutil.copy(f"{project.directory}/Dockerfile", other.directory)
    for place, directories, names in os.walk(other.directory):
        for name in (*directories, *names):
            os.utime(f"{place}/{name}", (5, 5), follow_symlinks=False)
    around = {**epoch, "TZ": "Asia/Tokyo", "LANG": "C", "LC_ALL": "C"}
    assert reproduced(other, f"{tmp_path}/2", around, preexec_fn=lambda: os.umask(0o077)) == first
    # One ID only: nothing here has another owner.
    third = Project(one_id_rl, other.directory)
    assert reproduced(third, f"{tmp_path}/3", epoch) == first
    document = json.loads(first[2])
    assert {h["created"][:19] for h in document["history"][-8:]} == {"2023-11-14T22:13:20"}
    assert document["created"].startswith("2023-11-14T22:13:20")


def reproduced(project: Project, place: str, env: Any, **options: Any) -> tuple[str, str, bytes]:
    """Build; the manifest's digest, that of the OCI archive, and the config."""
    metadata, archive = f"{place}.json", f"{place}.tar"
    words = ["--metadata-file", metadata, "-o", "type=image", "-o", f"type=oci,dest={archive}"]
    project.run("--no-cache", *words, "-t", "same:1", env=env, **options)
    with open(metadata) as file:
        found = json.load(file)
    with open(archive, "rb") as file:
        archived = hashlib.file_digest(file, "sha256").hexdigest()
    config = found["containerimage.config.digest"].partition(":")[2]
    with open(f"{project.rl.store}/blobs/sha256/{config}", "rb") as file:
        return found["containerimage.digest"], archived, file.read()


def small_tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("in/f")
        member.mtime = 1_800_000_000
        archive.addfile(member)
    return out.getvalue()
