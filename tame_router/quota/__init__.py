"""How much a tenant may use, reserved at the start of an answer and settled at its end."""
