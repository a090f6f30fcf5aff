"""The lowering functions that declarations name."""
