"""Learning that does not undo what was learned: strategies, and the learner that any of them rides on."""
