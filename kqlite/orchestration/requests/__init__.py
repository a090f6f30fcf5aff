"""Request handlers: a module for each kind of resource. A handler validates the whole request, then changes the state."""
