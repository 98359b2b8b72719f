"""What do headers cost a packet, in either format?"""
