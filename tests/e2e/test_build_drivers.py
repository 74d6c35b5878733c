"""The same build with each storage driver: the image is the same."""

import os
from collections.abc import Callable

import pytest
from support.builds import Project
from support.program import Rl

TEXT = """
    FROM busybox AS one
    RUN mkdir -p /d/sub && echo a >/d/sub/a && echo gone >/d/gone && ln -s a /d/sub/link \\
        && mkdir /whole && echo old >/whole/old && chmod 700 /d
    FROM busybox AS two
    COPY --from=one /d /d
    COPY --from=one /whole /whole
    RUN --mount=type=bind,from=one,source=/d,target=/mnt,rw \\
        --mount=type=bind,source=context,target=/context \\
        cat /mnt/sub/a /context/file >/seen && echo x >/mnt/x && rm /d/gone \\
        && rm -r /whole && mkdir /whole && echo new >/whole/new && chown 5:6 /d/sub \\
        && ln /seen /d/seen && echo more >>/d/sub/a && touch -h -d @1000 /d/sub/link
    RUN test ! -e /d/gone -a ! -e /mnt/x -a ! -e /whole/old && ls -A /whole /mnt >/list; \\
        stat -c '%n %u:%g %a %F' /d /d/sub /d/sub/a /whole >>/list; cat /seen >>/list
    RUN true
"""


@pytest.mark.needs("fuse-overlayfs")
def test_each_driver_makes_the_same_layers(
    project: Project, fresh_store: Callable[..., Rl], tmp_path: object
) -> None:
    project.write({"context/file": "file\n"}).dockerfile(TEXT)
    layout = f"{tmp_path}/layout"
    project.write({"base": "FROM busybox\n"})
    project.run("-f", f"{project.directory}/base", "-o", f"type=oci,tar=false,dest={layout}")
    found = {}
    for driver in ("overlay", "fuse-overlayfs", "copy"):
        other = fresh_store()
        settings = f"{tmp_path}/{driver}"
        os.makedirs(f"{settings}/rl")
        with open(f"{settings}/rl/config.toml", "w") as file:
            file.write(f'storage-driver = "{driver}"\n')
        made = Project(other, project.directory)
        env: dict[str, str | None] = {"XDG_CONFIG_HOME": settings, "SOURCE_DATE_EPOCH": "100"}
        made.run("--build-context", f"busybox=oci-layout://{layout}", "-t", "app", env=env)
        found[driver] = (made.inside("app", "cat /list"), other.inspect("app")["RootFS"])
        error = made.run(
            "--build-context", f"busybox=oci-layout://{layout}", "--build-arg", "X=1",
            "-f", "-", input="FROM busybox\nRUN rm /bin/ls; exit 4\n", env=env, status=1,
        ).stderr  # fmt: skip
        assert "exit code: 4" in error
    shown, layers = found["overlay"]
    assert "new\n" in shown and "gone" not in shown
    assert "a\nfile" in shown and "/d/sub 5:6 755 directory" in shown
    for driver in ("fuse-overlayfs", "copy"):
        assert found[driver] == (shown, layers), driver
