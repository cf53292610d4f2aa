"""A scoring endpoint: plain HTTPS, SageMaker or Vertex AI, behind one form."""

from eddyline.io.endpoint.settings import (
    Endpoint,
    HttpEndpoint,
    SageMakerEndpoint,
    VertexEndpoint,
    endpoint_of,
)

__all__ = ["Endpoint", "HttpEndpoint", "SageMakerEndpoint", "VertexEndpoint", "endpoint_of"]
