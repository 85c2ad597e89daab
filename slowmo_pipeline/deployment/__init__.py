"""The life of an asynchronous endpoint of Amazon SageMaker: deploy, look at, scale, delete."""
