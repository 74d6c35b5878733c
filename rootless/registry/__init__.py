"""A client of the OCI distribution specification.  Yields verified blobs; the store decides."""
