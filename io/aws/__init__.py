"""What Kinesis and SQS share: the client, its troubles in words, the service's clock."""
