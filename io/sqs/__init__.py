"""SQS: a queue without order, whose messages are deleted once the engine has committed them."""
