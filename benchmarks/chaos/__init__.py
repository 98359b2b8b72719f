"""The whole system under load and under blows: does every frame still end once?"""
