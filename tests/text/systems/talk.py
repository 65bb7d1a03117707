"""Small talk and requests that tests of systems share."""

SMALL_TALK = (
    "Hi!", "Hello there", "Good morning!", "Thanks a lot!", "Thank you so much, that helps.", "Okay, got it.", "Haha, great!",
    "How are you doing today?", "See you later!", "Sounds good.", "No problem.", "That's interesting.", "What's up?",
    "Tell me a joke.", "Have a nice weekend!", "You're welcome.", "Convert 12 inches to centimetres.",
    "Translate hello into French.", "What is the capital of Mongolia?", "Write a haiku about autumn.",
)  # fmt: skip
NEEDS_MEMORY = (
    "Where do I live?", "What did Ana say about the garden?", "When is my dentist appointment?", "Who repaired the kettle?",
    "Remind me what we decided.", "Is Bo still allergic to peanuts?", "Which book did you recommend last week?",
    "I finished the painting, finally.", "What was the name of her dog?", "Do you remember the bakery?",
    "Plan a dinner, but without peanuts.", "How much did the kettle cost?", "What about the garden?",
)  # fmt: skip
