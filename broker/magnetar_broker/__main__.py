"""`python -m magnetar_broker`."""

import sys

from magnetar_broker.main import main

sys.exit(main())
