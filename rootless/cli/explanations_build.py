"""What `rl explain` says about Dockerfiles: code -> (title, text)."""

BUILD: dict[str, tuple[str, str]] = {
    "RL-BUILD": (
        "The build failed",
        "The message names the file and the lines, which are shown below it.",
    ),
    "RL-BUILD-EMPTY": (
        "The Dockerfile has nothing to build",
        "It is empty, has only comments, or has no FROM. The shortest Dockerfile is FROM IMAGE; "
        "FROM scratch begins with nothing. Is it the right file? -f FILE names another.",
    ),
    "RL-BUILD-SYNTAX": (
        "A line of the Dockerfile cannot be read",
        "A quote that is not closed, a bad ${...}, a pair without =, a JSON array with something "
        'else than strings. In JSON form every word has double quotes: CMD ["python", "app.py"]; '
        "with other quotes it is no JSON, and the whole line goes to the shell.",
    ),
    "RL-BUILD-DIRECTIVE": (
        "A parser directive is wrong",
        "syntax, escape and check may stand once each, as # NAME=VALUE in the first lines, "
        "before any comment, empty line or instruction. escape is \\ or `.",
    ),
    "RL-BUILD-INSTRUCTION": (
        "The Dockerfile has an unknown instruction",
        "Known are ADD, ARG, CMD, COPY, ENTRYPOINT, ENV, EXPOSE, FROM, HEALTHCHECK, LABEL, "
        "MAINTAINER, ONBUILD, RUN, SHELL, STOPSIGNAL, USER, VOLUME and WORKDIR, in any case. When "
        "the word is part of a command, the line before it lacks the backslash at its end.",
    ),
    "RL-BUILD-FLAG": (
        "An instruction has a wrong flag",
        "Flags stand right after the instruction: COPY --chown=me file /. The message names the "
        "flags that this instruction knows. --from takes no variables: give the image a stage of "
        "its own, FROM $IMAGE AS name, and copy from that.",
    ),
    "RL-BUILD-ARGUMENTS": (
        "An instruction has too few or too many arguments",
        "The message shows how it is written. COPY, ADD and EXPOSE split at spaces; paths with "
        'spaces need the JSON form: COPY ["my file", "/dir/"].',
    ),
    "RL-BUILD-MOUNT": (
        "RUN --mount has a wrong value",
        "It is a list key=value,... with type=bind, cache, tmpfs, secret or ssh. Some keys are for "
        "some types only: sharing for cache, size for tmpfs, required for secret and ssh, env for "
        "secret, mode, uid and gid for cache, secret and ssh.",
    ),
    "RL-BUILD-HEREDOC": (
        "A heredoc is wrong",
        "RUN <<EOF begins a document; a line with EOF and nothing else ends it, without spaces "
        "around (<<-EOF allows tabs in front). COPY <<EOF /path writes the document to /path.",
    ),
    "RL-BUILD-STAGE": (
        "A stage is wrong or not there",
        "Every stage begins with FROM; only ARG may stand before the first. A name given with AS "
        "begins with a letter and has letters, digits, '-', '_' and '.'; case does not matter. "
        "--from and --target take such a name; --from also a number, counted from 0.",
    ),
    "RL-BUILD-VARIABLE": (
        "A variable is empty or not set",
        "FROM sees only arguments declared with ARG before the first FROM; a stage sees its own "
        "ARG and ENV, and of the former only those that it names again in an ARG without value. "
        "${NAME:-default} gives a default, ${NAME:?message} makes an empty one this error. "
        "--build-arg NAME=value sets an ARG.",
    ),
    "RL-BUILD-VALUE": (
        "An instruction has an impossible value",
        "A port that is none, a time without a unit, a signal that does not exist, an empty path "
        "or name. If it holds variables, their values may be the reason.",
    ),
    "RL-BUILD-IGNORE": (
        "A pattern of .dockerignore is wrong",
        "Patterns are those of Go's filepath.Match: * and ? within a name, [a-z], \\ before a "
        "character that is meant itself, and ** for any number of directories. ! begins an "
        "exception; the last line that matches decides.",
    ),
    "RL-BUILD-CHECK": (
        "The options of the checks are wrong",
        "They are written as # check=skip=RuleA,RuleB;experimental=RuleC;error=true in the first "
        "lines of the Dockerfile, or given as --build-arg BUILDKIT_DOCKERFILE_CHECK=...; "
        "skip=all and experimental=all name all rules.",
    ),
    "RL-BUILD-LINT": (
        "The checks found something, and the Dockerfile says that this is an error",
        "# check=error=true at the top of the Dockerfile makes every finding an error. `rl build "
        "--check .` prints them all; # check=skip=RULE takes a rule out.",
    ),
    "RL-BUILD-OUTPUT": (
        "The result of a build cannot be written",
        "The image was built, and is in the cache; but the directory or the archive that --output "
        "names could not be written, for the reason that the message gives.",
    ),
}
