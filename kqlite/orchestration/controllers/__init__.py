"""What closes a gap by itself: each module is woken by timers of one kind and decides for one resource."""
