"""An image of rl's store, as one to push: its layers' directories as tar archives."""

import io
import json
import os
import tarfile

from support.images import Image
from support.program import Rl


def image_of(rl: Rl, name: str) -> Image:
    """The image `name` of rl's store.  Reads the record and the layers as DESIGN.md 5 has them."""
    image_id = rl.out("inspect", "--type", "image", "--format", "{{.Id}}", name)
    value = image_id.partition(":")[2]
    with open(f"{rl.store}/images/by-id/{value}.json") as f:
        record = json.load(f)
    layers = []
    for diff_id in record["layers"]:
        directory = f"{rl.store}/layers/{diff_id.partition(':')[2]}/diff"
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for entry in sorted(os.listdir(directory)):
                archive.add(f"{directory}/{entry}", entry, filter=_as_root)
        layers.append(out.getvalue())
    return Image(layers, record["config"], record["platform"]["architecture"])


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
