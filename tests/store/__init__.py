"""Tests of the replica's durable state; ``contract`` holds for every implementation."""
