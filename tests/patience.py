"""How long a test waits for what must come: on a busy machine it comes late, on none never."""

PATIENCE_S = 60.0
