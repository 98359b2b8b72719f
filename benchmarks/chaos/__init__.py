"""The whole system under load and under injected faults: does every frame still end once?"""
