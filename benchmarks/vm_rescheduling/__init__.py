"""VM rescheduling: fragment rate against moves and time, beside other methods."""
