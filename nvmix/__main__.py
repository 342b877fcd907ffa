"""``python -m nvmix``."""

import sys

from nvmix.cli import main

sys.exit(main())
