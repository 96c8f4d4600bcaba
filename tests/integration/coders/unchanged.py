"""Claims success and changes nothing."""

import honest

honest.main()
