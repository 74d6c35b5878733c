"""OCI and Docker documents, pure: bytes in, values out."""
