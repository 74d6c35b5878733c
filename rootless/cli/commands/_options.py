"""Options that several commands declare alike."""

from typing import Annotated

from rootless.cli.commands._base import option

TlsVerify = Annotated[
    bool,
    option(
        "--tls-verify/--no-tls-verify",
        help="Insist on TLS and a valid certificate.",
        default=True,
    ),
]
Insecure = Annotated[
    bool, option("--insecure", help="Allow a registry without TLS, as Docker calls it.")
]

# What a member of a manifest list is made for.
Arch = Annotated[
    str | None, option("--arch", help="Its architecture: amd64, arm64.", metavar="ARCH")
]
Os = Annotated[str | None, option("--os", help="Its operating system: linux.", metavar="OS")]
Variant = Annotated[str | None, option("--variant", help="Its variant: v7, v8.", metavar="VARIANT")]
OsVersion = Annotated[
    str | None,
    option("--os-version", help="The version of its operating system.", metavar="VERSION"),
]
OsFeatures = Annotated[
    list[str] | None,
    option("--os-features", help="What it needs of that; repeatable.", metavar="FEATURE"),
]
Features = Annotated[
    list[str] | None,
    option("--features", help="What it needs of the processor.", metavar="FEATURE"),
]
Annotation = Annotated[
    list[str] | None,
    option("--annotation", help="An annotation; repeatable.", metavar="KEY=VALUE"),
]
