"""What agents wait for from people: hears of approvals and questions, hands them to handlers, brings the answers back.

Knows one client's connection, sessions and runs. Refuses to know who decides, and in which thread or task.
"""
