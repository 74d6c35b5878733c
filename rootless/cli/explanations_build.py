"""What `rl explain` says about Dockerfiles and builds: code -> (title, text)."""

BUILD: dict[str, tuple[str, str]] = {
    "RL-BUILD": (
        "A build failed",
        "The line begins with the Dockerfile's name and the lines where it went wrong.",
    ),
    "RL-BUILD-EMPTY": (
        "The Dockerfile has no stage",
        "A Dockerfile needs at least one FROM. Is it the right file?",
    ),
    "RL-BUILD-STAGE": (
        "A stage is missing, or its name makes no sense",
        "A stage begins with FROM IMAGE [AS NAME]; other stages and --target refer to it by that "
        "name, or by its number from 0 on. Only ARG may stand before the first FROM.",
    ),
    "RL-BUILD-INSTRUCTION": (
        "There is no such instruction",
        "Each line begins with an instruction, as FROM, RUN or COPY. A line that goes on from the "
        "one before needs a backslash at the end of that one.",
    ),
    "RL-BUILD-ARGUMENTS": (
        "An instruction has the wrong arguments",
        "The line says how it is written.",
    ),
    "RL-BUILD-FLAG": (
        "A flag of an instruction is unknown or makes no sense",
        "Flags stand between the instruction and its arguments: COPY --from=build /a /b. Each "
        "instruction has its own.",
    ),
    "RL-BUILD-MOUNT": (
        "A --mount of RUN makes no sense",
        "RUN --mount=type=bind|cache|tmpfs|secret|ssh,key=value,…; each type has its own keys.",
    ),
    "RL-BUILD-VALUE": (
        "A value makes no sense",
        "A port, a path, a signal, a duration or a name in the instruction is not one. If it has "
        "variables in it, look at what they stand for.",
    ),
    "RL-BUILD-VARIABLE": (
        "A variable is unset",
        "${NAME:?text} fails on purpose when NAME is unset or empty. A variable that FROM needs "
        "is declared with ARG before the first FROM, and set there or by --build-arg.",
    ),
    "RL-BUILD-HEREDOC": (
        "A heredoc makes no sense",
        "<<NAME takes the lines up to one with NAME and nothing else; in <<-NAME tabs may stand "
        "before it.",
    ),
    "RL-BUILD-DIRECTIVE": (
        "A parser directive makes no sense",
        "Lines like `# escape=\\` or `# syntax=…` at the very top of a Dockerfile say how it is to "
        "be read. Each may stand there once.",
    ),
    "RL-BUILD-SYNTAX": (
        "The Dockerfile cannot be read",
        "A quote, a brace or a bracket is not closed, or the text is not what a Dockerfile has. "
        "The line names the place.",
    ),
}
