"""What a vehicle's messages say, whoever's classes they are: those of a running graph and those of a bag alike.

Only the fields of messages are looked at, so that the nodes and the replay of bags share every line of it.
"""
