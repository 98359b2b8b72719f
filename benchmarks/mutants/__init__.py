"""Faults planted one at a time: does the test that should catch each do so?"""
