"""What registries hold beside images: by its media type, in a word, and whose tool fetches it.

Pure.  Sources: the projects' own specifications; image-spec v1.1 artifacts guidance.
"""

# The beginning of a media type (of the config, of a layer, or artifactType): what it is, its tool.
_KINDS = (
    ("application/vnd.cncf.helm.", "a Helm chart", "helm pull"),
    ("application/vnd.dev.cosign.", "a cosign signature", "cosign"),
    ("application/vnd.dev.sigstore.", "a sigstore signature", "cosign"),
    ("application/vnd.cncf.notary.", "a Notary signature", "notation"),
    ("application/vnd.in-toto", "an attestation", "docker buildx imagetools inspect"),
    ("application/vnd.dsse.", "an attestation", "cosign"),
    ("application/spdx", "a list of what software contains (SPDX)", "oras pull"),
    ("text/spdx", "a list of what software contains (SPDX)", "oras pull"),
    ("application/vnd.cyclonedx", "a list of what software contains (CycloneDX)", "oras pull"),
    ("application/vnd.wasm.", "a WebAssembly module", "oras pull"),
    ("application/vnd.module.wasm.", "a WebAssembly module", "oras pull"),
    ("application/wasm", "a WebAssembly module", "oras pull"),
    ("application/vnd.docker.plugin.", "a Docker plugin", "docker plugin install"),
    ("application/vnd.docker.compose.", "a Compose application", "docker compose"),
    ("application/vnd.docker.ai.", "a language model", "docker model pull"),
    ("application/vnd.cncf.model.", "a machine learning model", "modctl pull"),
    ("application/vnd.ollama.", "a language model", "ollama pull"),
    ("application/vnd.buildkit.cacheconfig.", "a build cache", "rl build --cache-from"),
    ("application/vnd.sylabs.sif.", "an Apptainer (Singularity) image", "apptainer pull"),
    ("application/vnd.cncf.flux.", "a Flux bundle", "flux pull"),
    ("application/vnd.cncf.openpolicyagent.", "an Open Policy Agent bundle", "opa"),
    ("application/vnd.devcontainers", "a Dev Container feature or template", "devcontainer"),
    ("application/vnd.aquasec.trivy.", "a Trivy database", "trivy"),
)


def describe(*media_types: str) -> tuple[str, str] | None:
    """What one of these types says it is, and the tool for it; None when none is known."""
    for media_type in media_types:
        for beginning, what, tool in _KINDS:
            if media_type.lower().startswith(beginning):
                return what, tool
    return None
