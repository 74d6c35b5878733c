"""--gpus, in Docker's forms, as CDI devices of the kind nvidia.com/gpu."""

from rootless.errors import UsageError
from rootless.runtime.options_text import closest, csv_fields

_KEYS = ("count", "device", "driver", "capabilities", "options")
_CAPABILITIES = ("gpu", "nvidia", "compute", "utility", "graphics", "video", "display", "compat32")


def parse_gpus(spec: str) -> list[str]:
    """The devices of all, 2, device=0,1 and count=2,driver=nvidia,capabilities=utility.

    Docker's CLI reads a record of CSV: several devices are '"device=0,1"'.  Raises UsageError.
    """
    fields: dict[str, str] = {}
    for field in csv_fields(spec, "--gpus"):
        key, equals, value = field.partition("=")
        if not equals and key and not fields:
            key, value = "count", key
        elif not equals and "device" in fields:
            key, value = "device", f"{fields.pop('device')},{key}"  # not quoted: meant all the same
        if key not in _KEYS or not value or key in fields:
            raise UsageError(
                f"invalid --gpus {spec}: {field!r}",
                remedy=closest(key, _KEYS) or "as all, 2, or device=0,1",
            )
        fields[key] = value
    _check(fields, spec)
    if "device" in fields:
        names = fields["device"].split(",")
    elif fields.get("count", "1") in ("all", "-1"):
        names = ["all"]
    else:
        names = [str(number) for number in range(_count(fields.get("count", "1"), spec))]
    return [f"nvidia.com/gpu={name}" for name in names]


def _count(text: str, spec: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 1000):
        raise UsageError(f"invalid --gpus {spec}: {text!r} is no count", remedy="all, or from 1")
    return int(text)


def _check(fields: dict[str, str], spec: str) -> None:
    if "device" in fields and "count" in fields:
        raise UsageError(f"invalid --gpus {spec}: a count and devices", remedy="leave one out")
    if fields.get("driver", "nvidia") not in ("nvidia", "cdi"):
        raise UsageError(
            f"cannot take --gpus {spec}: rl finds NVIDIA's GPUs by CDI alone",
            remedy="name others as CDI devices: --device VENDOR/CLASS=NAME",
        )
    unknown = [word for word in fields.get("capabilities", "gpu").split(",")
               if word not in _CAPABILITIES]  # fmt: skip
    if unknown:
        raise UsageError(
            f"invalid --gpus {spec}: there is no capability {unknown[0]}",
            remedy=closest(unknown[0], _CAPABILITIES) or f"one of {', '.join(_CAPABILITIES)}",
        )
    if "options" in fields:
        raise UsageError(
            f"cannot take the options of --gpus {spec}: CDI has none", remedy="leave them out"
        )
