"""`python -m include.recommender.registry`."""

import sys

from .cli import main

sys.exit(main())
