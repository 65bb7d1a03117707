"""A text of many kinds, from which the directions of a model's keys and values can be found."""

SAMPLE = """\
Order 5518: 3 lamps, 2 chairs, shipped to Hamburg on 14 March 1997 by Mr. Ellis. Order 6620: 12 plates, shipped to Oslo \
on 2 June 2003 by Ms. Novak. Order 7049: a ladder, returned on 30 November, because one step was broken.
name,age,town,score
Jacob,34,Bergen,87.5
Lena,29,Turin,91.0
Samir,41,Cairo,66.2
def area(width, height):
    return width * height  # in square metres
for i in range(10): print(i, area(i, 2 * i))
if total >= limit and not done: raise ValueError(f"{total} is above {limit}")
The meeting with Dr. Laura Hill starts at 9:45 in room 312. Call +44 20 7946 0958 or write to hill@example.org.
Q: Who wrote the report? A: Daniel Brown, in 2011. Q: Where is the archive? A: In Geneva, on the third floor.
Agnes bought a red bicycle. Boris sold his blue car to Emma. The key of Frank is under the stone; that of Helen hangs in \
the kitchen. The cat of the Millers is called Pepper, and their dog Biscuit.
User: My flight is KL 1023 and leaves on Friday. Assistant: Noted: KL 1023 on Friday. User: I am allergic to peanuts, and \
my daughter does not eat fish. Assistant: I will remember both.
{"id": 77, "title": "A short history of salt", "pages": 418, "tags": ["food", "trade"], "price": 12.99}
The password of the router is tulip-meadow-58. The code for the door is 9071. The mother of Viktor comes from Porto, his \
father from Riga. The licence plate was BX 4471 T, and the chassis ended in 88210.
Water boils at 100 degrees and freezes at 0. Light travels 299,792 kilometres in a second. The Nile is 6,650 km long.
When the rain had stopped, the old man closed his book, took the lantern from the wall and walked down to the harbour. \
Nobody was there. The boats lay still, and far out, beyond the breakwater, a single light moved slowly to the west. "They \
will not come tonight," he said to himself; but he waited until the church clock had struck eleven.
In contrast to earlier studies (Meyer, 1998; Okafor and Lind, 2007), the authors found no effect of temperature on yield \
(p = 0.41, n = 126), whereas rainfall in May explained a third of the variance. They conclude that irrigation matters most.
1. Heat the oven to 180 degrees. 2. Mix 250 g of flour with 125 g of butter. 3. Add an egg and a pinch of salt. 4. Bake \
for 25 minutes.
The government announced on Tuesday that fares would rise by 4 per cent; unions called the decision a mistake and asked \
for talks before the end of the month. Shares of the operator fell from 41.20 to 38.75.
Das Haus am See steht seit drei Jahren leer. La gare est fermée le dimanche. El tren sale a las ocho y media.
"""
