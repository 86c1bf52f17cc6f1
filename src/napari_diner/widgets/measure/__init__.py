"""The dock that measures regions."""
