"""python -m rootless.network.standalone: rl-netstack."""

from rootless.network.standalone.main import main

raise SystemExit(main())
