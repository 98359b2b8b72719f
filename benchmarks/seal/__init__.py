"""What does a seal cost a packet?"""
