"""Between the edge and the answer: what a caller may do, what it costs, what is recorded."""
