"""One verb a file: the pure logic and, beside it, the thin transform that wires it."""
