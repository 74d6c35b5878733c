"""How much an archive may become when it is unpacked: a bomb is told by its size or its ratio.

deflate packs 1032 bytes into one at best and zstd much more.  What people pack comes to less than
20; a disk image full of zeros is what comes nearest to a bomb, so the ratio counts from 4 GiB on.
"""

from rootless.errors import BadDocument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

GIB = 1 << 30
RATIO_FROM = 4 * GIB
SIZE_KEY, RATIO_KEY = "max-layer-gib", "max-layer-ratio"
DEFAULT = (100 * GIB, 400)


def of(config: "Mapping[str, object]") -> tuple[int, int]:
    """(bytes, ratio) by the configuration; 0 is without bounds.  Raises BadDocument."""
    values = []
    for key, default in ((SIZE_KEY, DEFAULT[0] // GIB), (RATIO_KEY, DEFAULT[1])):
        value = config.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise BadDocument(
                f"{key} in the configuration is {value!r}",
                remedy="give a whole number; 0 stands for no bound",
            )
        values.append(value)
    return values[0] * GIB, values[1]


def check(bounds: tuple[int, int], unpacked: int, packed: int, what: str) -> None:
    """Raise BadDocument RL-TOO-LARGE when `packed` bytes of `what` have become too many."""
    size, ratio = bounds
    if size and unpacked > size:
        raise BadDocument(
            f"{what} is larger than {size // GIB} GiB when it is unpacked",
            remedy=f"raise {SIZE_KEY} in the configuration if it should be",
            code="RL-TOO-LARGE",
        )
    if ratio and unpacked > RATIO_FROM and unpacked > ratio * packed:
        raise BadDocument(
            f"{what} becomes more than {ratio} times as large when it is unpacked, as bombs do: "
            f"{unpacked >> 20} MiB by now",
            remedy=f"raise {RATIO_KEY} in the configuration if you trust it",
            code="RL-TOO-LARGE",
        )
