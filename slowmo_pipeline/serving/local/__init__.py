"""The local endpoint: SageMaker's asynchronous call over HTTP on loopback, and the processes that do the work."""
