"""Several layers at once, for pull and push."""

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

from rootless.registry.client import Client
from rootless.registry.transport import Cancelled

T = TypeVar("T")

UPLOADS = 3  # Docker's are 5, on more cores


def run_all(
    client: Client, jobs: Mapping[str, Callable[[], T]], threads: int = UPLOADS
) -> dict[str, T]:
    """What each job returns, by its key.

    The first failure is raised, and Ctrl-C; both cancel all transfers of `client` before.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="rl-layer") as pool:
        try:
            futures = {key: pool.submit(job) for key, job in jobs.items()}
            wait(futures.values(), return_when=FIRST_EXCEPTION)
            for future in futures.values():
                if future.done() and not isinstance(future.exception(), Cancelled):
                    future.result()  # raises the failure that came first
            return {key: future.result() for key, future in futures.items()}
        except BaseException:
            client.transport.cancel()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
