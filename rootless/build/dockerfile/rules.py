"""The checks of `rl build --check` as records: BuildKit's names, what they are about, options.

Source: buildkit frontend/dockerfile/linter, docs.docker.com/reference/build-checks.
"""

import re

from rootless.build.dockerfile.text import SPACE
from rootless.errors import BuildError
from rootless.records import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """`message` is a str.format() template; experimental rules are off unless asked for."""

    name: str
    description: str
    message: str
    experimental: bool = False

    @property
    def url(self) -> str:
        """Where Docker explains the check."""
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=JSON)(?=[A-Z])", "-", self.name).lower()
        return f"https://docs.docker.com/go/dockerfile/rule/{words}/"


_ALL = (
    Rule(
        "StageNameCasing",
        "Names of stages are lower case",
        "Stage name '{0}' should be lowercase",
    ),
    Rule(
        "FromAsCasing",
        "FROM and AS are written in the same case",
        "'{0}' and '{1}' keywords' casing do not match",
    ),
    Rule(
        "NoEmptyContinuation",
        "An empty line among continued lines will be an error some day",
        "Empty continuation line",
    ),
    Rule(
        "ConsistentInstructionCasing",
        "All instructions are written in one case, upper or lower",
        "Command '{0}' should match the case of the command majority ({1})",
    ),
    Rule(
        "DuplicateStageName",
        "Every stage has a name of its own",
        'Duplicate stage name "{0}", stage names should be unique',
    ),
    Rule(
        "ReservedStageName",
        "A stage is not named as something that is always there",
        'Stage name should not use the same name as reserved stage "{0}"',
    ),
    Rule(
        "JSONArgsRecommended",
        "CMD and ENTRYPOINT in JSON form get signals; a shell in between swallows them",
        "JSON arguments recommended for {0} to prevent unintended behavior related to OS signals",
    ),
    Rule(
        "MaintainerDeprecated",
        "MAINTAINER is replaced by a label",
        "Maintainer instruction is deprecated in favor of using label",
    ),
    Rule(
        "UndefinedArgInFrom",
        "FROM uses only arguments that are declared before it",
        "FROM argument '{0}' is not declared{1}",
    ),
    Rule(
        "WorkdirRelativePath",
        "The first WORKDIR is absolute, or it changes with the base image",
        'Relative workdir "{0}" can have unexpected results if the base image changes',
    ),
    Rule(
        "UndefinedVar",
        "Variables are defined before they are used",
        "Usage of undefined variable '${0}'{1}",
    ),
    Rule(
        "MultipleInstructionsDisallowed",
        "Of several CMD, ENTRYPOINT or HEALTHCHECK in a stage only the last counts",
        "Multiple {0} instructions should not be used in the same stage because only the last "
        "one will be used",
    ),
    Rule(
        "LegacyKeyValueFormat",
        "ENV and LABEL are written with an equals sign",
        '"{0} key=value" should be used instead of legacy "{0} key value" format',
    ),
    Rule(
        "InvalidBaseImagePlatform",
        "The base image is for the platform that is built for",
        'Base image {0} was pulled with platform "{1}", expected "{2}" for current build',
    ),
    Rule(
        "RedundantTargetPlatform",
        "FROM takes the target's platform anyway",
        "Setting platform to predefined {0} in FROM is redundant as this is the default behavior",
    ),
    Rule(
        "SecretsUsedInArgOrEnv",
        "Secrets in ARG and ENV can be read from the image by everyone",
        'Do not use ARG or ENV instructions for sensitive data ({0} "{1}")',
    ),
    Rule(
        "InvalidDefaultArgInFrom",
        "Without any --build-arg, FROM still names a valid image",
        "Default value for ARG {0} results in empty or invalid base image name",
    ),
    Rule(
        "FromPlatformFlagConstDisallowed",
        "A constant platform in FROM makes the image for that platform only",
        'FROM --platform flag should not use constant value "{0}"',
    ),
    Rule(
        "CopyIgnoredFile",
        "COPY and ADD name files that .dockerignore leaves in the context",
        'Attempting to {0} file "{1}" that is excluded by .dockerignore',
        experimental=True,
    ),
    Rule(
        "InvalidDefinitionDescription",
        "A comment right above ARG or FROM describes it and begins with its name; leave a line "
        "empty for any other comment",
        "Comment for {0} should follow the format: `# {1} <description>`",
        experimental=True,
    ),
    Rule(
        "ExposeProtoCasing",
        "The protocol in EXPOSE is lower case",
        "Defined protocol '{0}' in EXPOSE instruction should be lowercase",
    ),
    Rule(
        "ExposeInvalidFormat",
        "EXPOSE names a port of the container: no address, no port of the host",
        "EXPOSE instruction should not define an IP address or host-port mapping, found '{0}'",
    ),
)
RULES = {rule.name: rule for rule in _ALL}


@dataclass(frozen=True, slots=True)
class Options:
    """Which rules are on, as "# check=skip=A,B;experimental=all;error=true" says."""

    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error: bool = False

    def enabled(self, rule: Rule) -> bool:
        if rule.experimental:
            # "skip=all" doesn't reach what was asked for by name.
            return "all" in self.experimental or rule.name.lower() in self.experimental
        return "all" not in self.skip and rule.name.lower() not in self.skip


def parse_options(text: str) -> Options:
    """The value of # check= or of the build argument BUILDKIT_DOCKERFILE_CHECK.

    Raises BuildError (RL-BUILD-CHECK).  Unknown names of rules are no mistake: there may be
    newer ones.
    """
    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error = False
    for part in text.split(";") if text.strip(SPACE) else []:
        key, equals, value = part.partition("=")
        key = key.strip(SPACE)
        names = frozenset(name.strip(SPACE).lower() for name in value.split(","))
        if equals and key == "skip":
            skip = names
        elif equals and key == "experimental":
            experimental = names
        elif equals and key == "error" and value.strip(SPACE).lower() in ("true", "false"):
            error = value.strip(SPACE).lower() == "true"
        else:
            raise BuildError(
                f"{part.strip(SPACE)!r} is no option of check",
                remedy="write it as check=skip=RuleA,RuleB;error=true",
                code="RL-BUILD-CHECK",
            )
    return Options(skip, experimental, error)


def options_above(options: Options, comments: tuple[str, ...]) -> Options:
    """The options at an instruction, with those of a "# check=" comment right above it."""
    for comment in comments:
        match = re.match(r"check\s*=\s*(\S+)", comment, re.IGNORECASE)
        if match:
            try:
                more = parse_options(match[1])
            except BuildError:
                return options
            return Options(
                options.skip | more.skip, options.experimental | more.experimental, options.error
            )
    return options
