"""The camera's image for arm64, built and run emulated: ``make test-arm64-image``."""
