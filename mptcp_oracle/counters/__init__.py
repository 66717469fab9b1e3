"""What the kernel counted (MPTcpExt) beside what a capture shows: a third source of facts."""
