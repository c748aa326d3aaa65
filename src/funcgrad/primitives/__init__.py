"""The operations: one family a file, all rules of a primitive in its class."""
