"""One machine: its home, runs in this process, `slowmo up` with its processes, and what people see of them."""
