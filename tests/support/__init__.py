"""What several test modules use: golden cases, comparisons, rows made from ARM answers, processes that hold a directory."""
