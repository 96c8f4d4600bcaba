"""Says that it cannot."""

import honest

honest.say({"status": "failed", "why": "out of credit"})
