"""What `rl explain CODE` says: code -> (title, text).  Data only; imported by explain and tests."""

from rootless.cli.explanations_host import HOST
from rootless.cli.explanations_images import IMAGES
from rootless.cli.explanations_options import OPTIONS

EXPLANATIONS: dict[str, tuple[str, str]] = {
    **HOST,
    **OPTIONS,
    **IMAGES,
    "RL-USAGE": (
        "The command line makes no sense",
        "An unknown command or option, a missing argument, or a value that cannot be what it "
        "should be. `rl COMMAND --help` shows what is understood.",
    ),
}
