"""What the tests share: the rl program, a registry, images, terminals, checks of the host."""
