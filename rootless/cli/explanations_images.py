"""What `rl explain` says about images, registries and the store: code -> (title, text)."""

_MIXED_UP = (
    "The bytes that arrived are not those that the digest names, so rl has thrown them away. A "
    "broken proxy or disk does this, and so would somebody who changes images on their way. Try "
    "again, from another network if you can; if it stays, tell the registry's owner."
)

IMAGES: dict[str, tuple[str, str]] = {
    "RL-BAD-REFERENCE": (
        "Not an image reference",
        "A reference is [REGISTRY/]NAME[:TAG][@sha256:DIGEST], the name in lower case. Without a "
        "registry it is Docker Hub's, without a tag it is latest. Platforms are written as "
        "linux/amd64 or linux/arm/v7.",
    ),
    "RL-BAD-DOCUMENT": (
        "A document makes no sense",
        "A manifest, an image config or a configuration file does not say what its format "
        "demands; the message names the field. For an image, ask its owner to push it again.",
    ),
    "RL-TOO-LARGE": (
        "An archive becomes too large when it is unpacked",
        "A small archive that becomes enormous is what fills a disk on purpose. A layer may become "
        "100 GiB, and from 4 GiB on 400 times as large as it was packed. max-layer-gib and "
        "max-layer-ratio in ~/.config/rl/config.toml set other bounds, 0 none.",
    ),
    "RL-DIGEST-MISMATCH": ("Data does not have its digest", _MIXED_UP),
    "RL-CANCELLED": (
        "Cancelled",
        "Another part of the same command failed, or you interrupted it. The other message says "
        "why.",
    ),
    "RL-IMAGE": ("An image cannot be used", "The message says why."),
    "RL-SIGNATURE": (
        "An image is refused",
        "policy.json (of ~/.config/containers or /etc/containers) or --require-signature wants a "
        "signature that the image does not have: none is attached to it, none is by that key, or "
        "it says that the image is another one. Nothing of the image was kept. cosign sign and "
        "skopeo copy --sign-by-sigstore-private-key sign images; docs/registries.md says what is "
        "checked.",
    ),
    "RL-SIGNATURE-KEY": (
        "A public key cannot be used",
        "--require-signature and policy.json take a public key in PEM form, as cosign "
        "generate-key-pair writes to cosign.pub: ECDSA, RSA or Ed25519.",
    ),
    "RL-IMAGE-SHARED": (
        "The image is a shared store's",
        "Images of the stores that RL_IMAGE_STORES or image-stores in config.toml name are for "
        "reading. Their owner takes one out with `rl image unpublish DIR IMAGE`. A name of your "
        "own (`rl tag`) is yours to remove.",
    ),
    "RL-SHARED-STORE": (
        "A shared image store is away or damaged",
        "The images of a shared store (docs/shared-stores.md) are read where they are. The message "
        "says which directory or file is gone, or is not what was published: each file is "
        "verified against its digest when it is first used, and again when it has changed. Ask "
        "the store's owner to mount it, or to publish the image again, which repairs it; or pull "
        "the image into your own store. An ordinary store can be read by its own user alone, with "
        "the subordinate IDs that it was written with: for all others there is rl image publish.",
    ),
    "RL-IMAGE-NOT-FOUND": (
        "No such image",
        "No image in the store has this name, digest or ID. `rl images` lists them; `rl pull`, "
        "`rl import` and `rl bootstrap` get one.",
    ),
    "RL-IMAGE-AMBIGUOUS": (
        "Several images have IDs that begin so",
        "Give more digits of the ID, or a name. `rl images --no-trunc` shows whole IDs.",
    ),
    "RL-IMAGE-IN-USE": (
        "The image is in use",
        "A container was made from it, or it has other names. `rl ps -a` shows the containers: "
        "remove them first. `rl rmi -f` takes the names away nevertheless, and removes the image "
        "if no container of it runs; what stopped containers need of it stays.",
    ),
    "RL-IMAGE-PLATFORM": (
        "The image is not made for this platform",
        "The message lists the platforms that it is made for. --platform chooses one of them; to "
        "run it on another architecture, the host needs an emulator (qemu-user, binfmt_misc).",
    ),
    "RL-IMAGE-IDS": (
        "The image has files of users or groups that you do not have",
        "A file of an image keeps its owner, and that one has to be among the IDs that are yours: "
        "as many as /etc/subuid and /etc/subgid give you, usually 65536. The message names the "
        "file. --squash-ids (or squash-ids in config.toml) makes such files root's; where that "
        "will not do, ask for a larger range of subordinate IDs, see `rl doctor`.",
    ),
    "RL-IMAGE-TOO-MANY-LAYERS": (
        "The image has more layers than overlayfs can stack",
        "The kernel stacks at most 500 layers. fuse-overlayfs and copy (--storage-driver) have no "
        "such limit; an image with fewer layers is better still.",
    ),
    "RL-IMAGE-SCHEMA1": (
        "The image has Docker's old manifest",
        "Manifest schema 1 was replaced in 2016, and Docker itself does not read it any more. "
        "Whoever owns the image can push it again with any Docker since; skopeo converts it.",
    ),
    "RL-IMAGE-ARTIFACT": (
        "It is not a container image",
        "Registries keep other things, too: Helm charts, signatures, WebAssembly modules. The "
        "message says what this is; use the tool it was made with.",
    ),
    "RL-SAVE-TARGET": (
        "The archive cannot be written",
        "Its directory does not exist, is full or not yours, or there is an image in it already. "
        "What was at that place before is as it was.",
    ),
    "RL-LOAD-SOURCE": (
        "It is not an archive of images",
        "`rl load` reads what docker save, podman save, skopeo and `rl save` write: tar archives, "
        "also compressed, with a manifest.json or an index.json, and directories that are OCI "
        "layouts. The archive of a root file system is for `rl import`.",
    ),
    "RL-REGISTRY": ("A registry failed", "The message says how."),
    "RL-MANIFEST-NOT-FOUND": (
        "There is no such manifest list",
        "`rl manifest ls` shows the lists of this store. A list that was pushed with --purge is in "
        "its registry alone: `rl manifest inspect` shows it there, and `rl manifest create NAME "
        "NAME --all` takes it back.",
    ),
    "RL-MANIFEST-EXISTS": (
        "There is a manifest list of that name",
        "`rl manifest create --amend` adds to it, `rl manifest rm` forgets it.",
    ),
    "RL-MANIFEST-MEMBER": (
        "The manifest list does not have that image",
        "A member is named as it was added, or by its digest or the beginning of that. `rl "
        "manifest inspect` shows them. An image of the store that was added and then removed "
        "with `rl rmi` cannot be pushed any more.",
    ),
    "RL-REGISTRY-UNREACHABLE": (
        "The registry cannot be reached",
        "Its name does not resolve, nothing answers there, or the line broke several times. rl "
        "heeds HTTPS_PROXY, HTTP_PROXY and NO_PROXY; without network, `rl import` and "
        "`rl bootstrap` make images on this machine.",
    ),
    "RL-REGISTRY-TLS": (
        "The registry's certificate cannot be verified",
        "Put the certificate of its authority into "
        "~/.config/containers/certs.d/HOST:PORT/ca.crt (Docker's /etc/docker/certs.d is read, "
        "too). A registry without TLS on a network that you trust: --tls-verify=false, or "
        'insecure-registries = ["HOST:PORT"] in ~/.config/rl/config.toml. Registries on '
        "loopback need neither.",
    ),
    "RL-REGISTRY-UNAUTHORIZED": (
        "The registry denies access",
        "The image does not exist (many registries do not tell the difference), or needs "
        "credentials. rl reads ~/.docker/config.json ($DOCKER_CONFIG) with its credential "
        "helpers, then podman's auth.json. `rl login REGISTRY` writes the former, as docker login.",
    ),
    "RL-REGISTRY-CREDENTIALS": (
        "Credentials cannot be read or kept",
        "A file with credentials is damaged or cannot be written, or the credential helper that it "
        "names is not installed or fails. The message names it.",
    ),
    "RL-REGISTRY-NO-SEARCH": (
        "The registry cannot be searched",
        "Most registries have no search, and many give their catalogue to nobody. What has been "
        "pulled can be found with `rl images`, the tags of a known repository with `rl search "
        "--list-tags REGISTRY/REPOSITORY`.",
    ),
    "RL-REGISTRY-NOT-FOUND": (
        "The registry does not have it",
        "The repository or the tag does not exist there, or a blob of the image is missing on "
        "the registry. `rl pull --all-tags` lists what there is.",
    ),
    "RL-REGISTRY-RATE-LIMITED": (
        "The registry limits how often you may ask",
        "Wait as long as the message says. Registries often allow more to users who have logged "
        "in.",
    ),
    "RL-REGISTRY-REFUSED": (
        "rl does not do what the registry asks for",
        "It redirects in circles, from https to http, or wants credentials sent without TLS, or "
        "registries.conf blocks it.",
    ),
    "RL-REGISTRY-RUBBISH": (
        "The answer is not a registry's",
        "A web page instead of a manifest is often the login page of a network or a proxy. "
        "Otherwise the name may be that of a web site and not of a registry.",
    ),
    "RL-REGISTRY-TRUNCATED": (
        "The registry sends too little",
        "A layer ended before its announced size, several times. What has arrived of other "
        "layers is kept, and the next pull goes on from there.",
    ),
    "RL-REGISTRY-ERROR": (
        "The registry has a problem",
        "It answered with an error of its own, several times. Try again later.",
    ),
    "RL-STORE": ("The store cannot be used", "The message says why."),
    "RL-STORE-BUSY": (
        "Another rl is using it",
        "Two commands want the same thing at the same moment. Wait for the other one to end.",
    ),
    "RL-STORE-MISSING": (
        "There is no store",
        "`rl system reset` removes a store, and the directory has none: it was not made yet, or "
        "RL_STORE and the option `store` name another one.",
    ),
    "RL-STORE-CORRUPT": (
        "A file in the store is damaged",
        "rl writes nothing in place, so this was somebody else, or the disk. The message names "
        "the file. `rl system check` finds everything that is damaged, and with --repair takes it "
        "out or makes it anew, and says what to pull again.",
    ),
    "RL-STORE-FULL": (
        "There is no space left",
        "Nothing half-made was kept. `rl rm` and `rl rmi` free space; RL_STORE names another "
        "directory for the store, on a larger file system.",
    ),
    "RL-STORE-NEWER": (
        "A newer rl has made the store",
        "This one does not know its format. Use the newer rl, or another directory (RL_STORE).",
    ),
    "RL-STORE-UNREADABLE": (
        "The store cannot be read",
        "It belongs to another user, or its file system has a problem.",
    ),
    "RL-STORE-UNWRITABLE": (
        "The store cannot be written",
        "It belongs to another user, its file system is mounted read-only, or something else is "
        "in its place. RL_STORE names another directory.",
    ),
}
