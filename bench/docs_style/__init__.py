"""A peer: strawberry as its documentation teaches it."""
