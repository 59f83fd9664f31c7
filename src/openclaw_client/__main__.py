"""`python -m openclaw_client`: the command line."""

from openclaw_client.cli import main

raise SystemExit(main())
