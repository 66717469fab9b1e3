"""Do the verdicts hold? Sound, complete and honest, over faults and over volumes."""
