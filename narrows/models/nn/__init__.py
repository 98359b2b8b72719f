"""The networks: a camera-side encoder, the joint decoder in the cloud, and the rate model between them."""
