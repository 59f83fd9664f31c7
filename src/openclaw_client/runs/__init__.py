"""A chat run as a pure fold over events.

Knows how snapshots, increments, acknowledgements and terminal events add up to one text and one outcome. Refuses to
know the clock, the socket, and who listens.
"""
