"""The registry that has an image, of those that registries.conf names: mirrors first, then its own.

Source: containers-registries.conf(5), "Remapping and mirroring registries": the first that can be
reached and has the image is used, for all of it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rootless.context import Context
from rootless.errors import RlError
from rootless.oci.reference import Reference
from rootless.registry import config
from rootless.registry.client import Client, Fetched
from rootless.registry.transport import Cancelled


@contextmanager
def opened(
    ctx: Context, names: Sequence[Reference], *, tls_verify: bool = True
) -> Iterator[tuple[Client, Fetched]]:
    """A Client for the first place that has one of `names`, and the manifest it has given.

    Raises what the last place's Client raises, with a word about the others before it.
    """
    client, fetched = _first(ctx, names, tls_verify)
    with client:
        yield client, fetched


def _first(ctx: Context, names: Sequence[Reference], tls_verify: bool) -> tuple[Client, Fetched]:
    failures: list[tuple[str, RlError]] = []
    for named in names:
        for source in config.sources(ctx, named, tls_verify=tls_verify):
            client = Client(ctx, named, source=source)
            try:
                wanted = source.named.digest or source.named.tag
                return client, client.manifest(wanted)
            except Cancelled:
                raise
            except RlError as e:
                failures.append((source.named.name, e))
            except BaseException:
                client.close()
                raise
            client.close()
    error = failures[-1][1]
    if len(failures) > 1:
        before = "; ".join(f"{place}: {failure.what}" for place, failure in failures[:-1])
        error.what = f"{error.what} (tried before: {before})"
        error.args = (error.what,)
    raise error
