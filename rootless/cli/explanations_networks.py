"""What `rl explain` says about networks: code -> (title, text)."""

NETWORKS: dict[str, tuple[str, str]] = {
    "RL-NETWORK": ("A network cannot be made", "The line says why; `rl doctor` tries each driver."),
    "RL-NETWORK-UNKNOWN": (
        "There is no such network",
        "--network takes netstack, slirp4netns or pasta (a network of its own, with a way out and "
        "published ports), host (the host's network) and none. Without it the best that works is "
        "taken.",
    ),
    "RL-NETWORK-NO-HELPER": (
        "No program connects the container",
        "The network that was asked for needs a helper: slirp4netns (Debian's package "
        "slirp4netns) or pasta (package passt). --network netstack, host and none need neither.",
    ),
    "RL-NETWORK-HELPER": (
        "The network helper failed",
        "slirp4netns or pasta ended, or did not answer; the line has its own words. `rl doctor` "
        "tries both. /dev/net/tun must be there and be writable for everybody.",
    ),
    "RL-NETWORK-NETSTACK": (
        "The kernel does not let rl connect the container",
        "--network netstack needs veth devices and nftables with tproxy in the kernel (modules "
        "veth, nf_tables, nft_tproxy), usable from a user namespace. The line says what was "
        "refused; --network slirp4netns and pasta need none of it, but a program.",
    ),
    "RL-NETWORK-NOT-FOUND": (
        "There is no such network",
        "Networks with names are known by their names and IDs: `rl network ls` lists them, `rl "
        "network create` makes one.",
    ),
    "RL-NETWORK-AMBIGUOUS": (
        "Several networks have this ID",
        "The beginning of an ID that was given is that of several networks: give more of it, or "
        "the name.",
    ),
    "RL-NETWORK-EXISTS": (
        "There is a network of this name",
        "It may have other addresses and options, so it is left as it is. `rl network create "
        "--ignore` takes it as it is; `rl network rm` removes it when no container has it.",
    ),
    "RL-NETWORK-IN-USE": (
        "A container has the network",
        "A network is removed when no container has it, running or stopped. `rl ps -a --filter "
        "network=NAME` lists them; `rl network disconnect` takes it from one that stays.",
    ),
    "RL-NETWORK-SUBNET": (
        "The subnet cannot be had",
        "No two networks have the same addresses, or packets would not find their way. `rl network "
        "inspect` shows those of the others; without --subnet a free one is chosen.",
    ),
    "RL-NETWORK-ADDRESS": (
        "The address is none for a container on the network",
        "--ip and --ip6 are addresses of the network's own subnet: neither its first one, which is "
        "the network's, nor its gateway, nor (IPv4) its last one. `rl network inspect` shows it.",
    ),
    "RL-NETWORK-ADDRESS-TAKEN": (
        "Another container has the address",
        "An address is a container's while it runs. Without --ip a free one is taken; "
        "--ip-range of `rl network create` keeps some from being taken that way.",
    ),
    "RL-NETWORK-FULL": (
        "The network has no address left",
        "Every address of its subnet, or of its --ip-range, is a running container's. Make a "
        "larger network, or stop some.",
    ),
    "RL-NETWORK-GATEWAY": (
        "The namespace of the networks with names cannot be had",
        "Networks with names are bridges in a network namespace of yours, which a helper process "
        "keeps while a container is on one. It needs user namespaces, bridges, veth devices and "
        "nftables with nat in the kernel (modules bridge, veth, nf_tables, nft_masq, nft_ct, "
        "nft_reject). The line says what was refused.",
    ),
    "RL-NETWORK-PLUG": (
        "The container got no device on the network",
        "The kernel refused to make a device between the network's bridge and the container; the "
        "line says why.",
    ),
    "RL-NETWORK-CONNECTED": (
        "The container is on the network already, or is not on it",
        "`rl inspect CONTAINER` lists its networks, `rl network inspect NETWORK` the containers "
        "that run on it.",
    ),
    "RL-NETWORK-MODE": (
        "The container cannot be connected with a network",
        "Containers on networks with names have a user namespace below that of the networks, from "
        "their start on: only so can a device be put into their network namespace without root. "
        "One that runs on a network of its own has to be started again; one with the host's "
        "network or none has to be made again.",
    ),
    "RL-NETWORK-JOIN": (
        "The network namespace cannot be joined",
        "--network container:ID shares the network of a container, and the user namespace that it "
        "belongs to; ns:PATH that of a namespace of your own. One of the host's root, or of a user "
        "namespace with other IDs than containers have, cannot be joined: files would have other "
        "owners. One can be made with `rl unshare unshare --net sleep 1000`.",
    ),
    "RL-NETWORK-PREDEFINED": (
        "The network is rl's own",
        "bridge, host, none and private are always there, and cannot be removed or made.",
    ),
}
