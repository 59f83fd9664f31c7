"""An application process with a journal is killed at random moments, comes back, and is held against what it wrote."""
