"""Approves no plan."""

import honest

honest.main(plan_review=lambda asked: {"status": "ok", "decision": "REJECT_ARCHITECTURAL", "why": "not like this"})
