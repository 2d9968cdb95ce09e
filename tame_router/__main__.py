"""`python -m tame_router` is the command `tame`."""

import sys

from tame_router.cli.main import main

sys.exit(main())
