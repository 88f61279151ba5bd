"""`python -m include.recommender.console`."""

import os
import sys

from .adding import Typed
from .cli import main

# Set by who calls this for a person that types something else, such as `make registry`.
TYPED_AS = "RECOMMENDER_REGISTRY_TYPED_AS"

sys.exit(main(typed=Typed(os.environ[TYPED_AS]) if os.environ.get(TYPED_AS) else None))
