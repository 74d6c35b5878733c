"""The network `netstack`: the kernel is the TCP stack, we move the bytes."""
