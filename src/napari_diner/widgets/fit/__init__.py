"""The dock that fits representations to images, stacks, volumes and videos."""
