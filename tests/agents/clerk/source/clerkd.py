import sys

from clerk.app import main

sys.exit(main())
