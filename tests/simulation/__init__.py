"""Many clients and failing gateways in one thread, with one seed and a moved clock."""
