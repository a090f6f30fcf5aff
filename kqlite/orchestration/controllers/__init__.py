"""Controllers: each runs when its timers are due, and brings a resource closer to its desired state."""
