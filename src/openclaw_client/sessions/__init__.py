"""Sessions: whose they are, which of them a gateway is asked about, and who may send in one.

Refuses to know what a run or a request is.
"""
