"""Use cases: the only code that locks, saves and records. Each takes the transaction first."""
