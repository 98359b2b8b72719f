"""How well does the sensor's network outline what is pointed at, beside floors, GrabCut and its own int8 twin?"""
