"""Front doors: each parses, calls one use case, and renders; none knows another."""
