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
    "RL-BUILD-CONTEXT": (
        "The context cannot be used",
        "A context is a directory, - for a tar archive or a Dockerfile on standard input, a git "
        "repository (https://host/repo.git#REF:SUBDIRECTORY), or the URL of an archive or a "
        "Dockerfile. Archives may be plain or in gzip, bzip2, xz or zstd. --build-context "
        "NAME=... takes the same, and docker-image://IMAGE and oci-layout://DIRECTORY.",
    ),
    "RL-BUILD-NO-DOCKERFILE": (
        "There is no Dockerfile",
        "Without -f it is the file Dockerfile (or dockerfile) in the context's directory. -f FILE "
        "is relative to where you are; for contexts from an archive or a repository, to their "
        "root. -f - reads it from standard input.",
    ),
    "RL-BUILD-ARCHIVE": (
        "An archive cannot be unpacked",
        "ADD unpacks tar archives, and a context may be one. This one is damaged or cut off, or "
        "has a name that leads out of its directory. ADD --unpack=false copies it as it is.",
    ),
    "RL-BUILD-ESCAPE": (
        "A path leads out of the context",
        "COPY and ADD see the context and nothing else: a path with .. that leaves it, and a "
        "symbolic link to something that is not in it, are refused. Build with a directory above "
        "as context (and name the Dockerfile with -f), or give the other directory a name: "
        "--build-context lib=../lib and COPY --from=lib.",
    ),
    "RL-BUILD-NOT-FOUND": (
        "A source of COPY or ADD is not there",
        "Paths are relative to the context's root, or to the root of what --from names; they are "
        "not relative to the Dockerfile. What .dockerignore leaves out is not there. A wildcard "
        "that matches nothing copies nothing, as with docker build.",
    ),
    "RL-BUILD-CHANGED": (
        "Something in the context was changed while it was read",
        "A file or directory is gone, or became a symbolic link, after the build had looked at it. "
        "Links that appear meanwhile are not followed: they may lead out of the context. Build "
        "again when no editor, download or other program is writing there.",
    ),
    "RL-BUILD-COPY": (
        "Something cannot be copied to where it should go",
        "A directory is not replaced by a file, and a file or symbolic link not by a directory. "
        "A destination that ends with / is a directory; without, a single file gets that name. "
        "Or a file could not be read, for the reason that the message gives.",
    ),
    "RL-BUILD-OWNER": (
        "--chown cannot be followed",
        "Names are looked up in /etc/passwd and /etc/group of the image as it is at that step; "
        "with --link it is not looked at, and numbers are needed. A number has to be mapped: "
        "`rl doctor` shows how many IDs you have.",
    ),
    "RL-BUILD-DOWNLOAD": (
        "A file cannot be downloaded",
        "The URL of ADD or of a context did not give its file: the message has the server's "
        "answer, or what the network said. http_proxy, https_proxy and no_proxy are followed.",
    ),
    "RL-BUILD-GIT": (
        "A git repository cannot be used",
        "It is fetched with your git program and its configuration, which may not ask for a "
        "password: use an SSH agent or a credential helper. After # comes a branch, tag or "
        "commit, after : a directory in it.",
    ),
    "RL-BUILD-CHECKSUM": (
        "Something from the network is not what its checksum says",
        "The file, or the commit that the reference names, has changed since the checksum was "
        "written down. Find out why before you change it.",
    ),
    "RL-HOST-NO-GIT": (
        "The program git is missing",
        "Git contexts and ADD of a repository are fetched with the host's git. The administrator "
        "can install it with: apt-get install git. Or clone the repository elsewhere and give "
        "its directory.",
    ),
    "RL-BUILD-RUN": (
        "The command of a RUN has failed",
        "Its exit code and its last lines of output are shown: what went wrong is said there. "
        "127 means that the program is not in the image, 126 that it cannot be executed, 137 that "
        "it was killed, often for memory. --shell-on-fail opens a shell in the step's files.",
    ),
    "RL-BUILD-STEP": (
        "A step of the build could not be done",
        "The system refused something that the step needs, as the message says: a full disk, a "
        "file that cannot be read. `rl doctor` checks what the host offers.",
    ),
    "RL-BUILD-STEP-KILLED": (
        "The process of a step has ended unexpectedly",
        "Somebody or the kernel (out of memory: see dmesg) has killed it. Nothing is damaged; what "
        "was built before stays in the cache. Build again, with less in parallel: --jobs 1.",
    ),
    "RL-BUILD-MOUNT-SOURCE": (
        "What RUN --mount shall mount is not there",
        "source= is a path in the context, or in the stage or image that from= names. What "
        ".dockerignore leaves out is not there.",
    ),
    "RL-BUILD-SECRET": (
        "A secret is missing or cannot be read",
        "RUN --mount=type=secret,id=NAME gets what --secret id=NAME,src=FILE or "
        "id=NAME,env=VARIABLE gives. Without required it would go on without. Secrets have at most "
        "500 KiB.",
    ),
    "RL-BUILD-SSH": (
        "There is no SSH agent for a RUN",
        "RUN --mount=type=ssh reaches the agent that --ssh default names: that of $SSH_AUTH_SOCK, "
        "or that of a socket. Start one with: eval $(ssh-agent); ssh-add. --ssh default=KEY names "
        "files of private keys instead, for which an agent is started; a key with a passphrase has "
        "to be in an agent of yours.",
    ),
    "RL-HOST-SSH": (
        "OpenSSH's ssh-agent or ssh-add is not installed",
        "--ssh ID=KEY starts an agent that has the key while the build goes on. With an agent that "
        "is there already (its socket in $SSH_AUTH_SOCK, --ssh default) neither is needed.",
    ),
    "RL-BUILD-PLATFORMS": (
        "A build for several platforms cannot be kept like that",
        "With --platform A,B an index of images is made. It can be pushed (--push), written as an "
        "OCI archive (-o type=oci,dest=FILE), or as a directory for each platform (-o DIRECTORY). "
        "Under a name in the store there is the image of one platform.",
    ),
    "RL-BUILD-EMULATION": (
        "A RUN for another machine has no emulator",
        "The kernel runs programs of another architecture when the host's binfmt_misc names an "
        "emulator for them, which takes root once: apt-get install qemu-user-static. COPY, ADD and "
        "the instructions that change the config alone need none.",
    ),
    "RL-BUILD-CACHE": (
        "A build cache in a directory or on a registry cannot be used",
        "--cache-to type=local,dest=DIR writes one, --cache-from type=local,src=DIR reads it; with "
        "type=registry,ref=IMAGE it is an image of a registry. It can be removed: the steps are "
        "done again then.",
    ),
}
