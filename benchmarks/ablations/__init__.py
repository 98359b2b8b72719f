"""What each idea of the training recipe brings alone, at equally many steps, on blocks that training does not see."""
