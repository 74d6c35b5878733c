"""A container's life: options, runtime config, launch, supervise, exec, stop."""
