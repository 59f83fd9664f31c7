"""What to do when something fails: pure functions that a caller can replace.

Knows delays, which errors are final, and which credential to send. Refuses to know the clock and the random source
(both are arguments) and to do anything about what it decides.
"""
