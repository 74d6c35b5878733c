"""`rl explain`: codes of layers and `rl import`.  Data only."""

LAYERS: dict[str, tuple[str, str]] = {
}
