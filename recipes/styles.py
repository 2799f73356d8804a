"""Write the embedded style list: python -m recipes.styles > synaug/embedded/data/styles.yaml

The embedded LLM continues a few-shot list of picture styles; lines are cleaned, and kept while they differ from those
before and come near (cosine of sentence embeddings) to a kind of picture that the embedded generator was trained on,
which knows no other; what says no more than `a picture` is left out.
"""

import re

WANTED, ROUNDS, ANSWERS, NEAR, ALIKE, PLAIN = 40, 80, 16, 0.6, 0.93, 0.85
MEDIUM = (
    r"\b(photo|photograph|picture|image|painting|drawing|sketch|poster|print|sign|art|collage|embroidery|silhouette|blueprint|negative|mosaic"
    r"|etching|illustration)\b"
)


def main():
    import random

    import torch
    import yaml

    from recipes.contexts import STYLES
    from synaug.backends.llm import open_llm
    from synaug.backends.protocols import Question
    from synaug.config import Config
    from synaug.embedded.minilm import SentenceEncoder

    torch.set_num_threads(1)
    llm, encoder = open_llm(Config()), SentenceEncoder()
    known = encoder.encode([f"a {style}" for style in STYLES])
    plain = encoder.encode(["a photo", "a picture", "an image", "visual art"])
    kept: list[str] = []
    vectors = torch.empty(0, known.shape[1])
    for number in range(ROUNDS):
        shots = list(STYLES)
        random.Random(number).shuffle(shots)
        prompt = (
            "Different styles of pictures, one in each line:\n\n"
            + "".join(f"- {style}\n" for style in shots[:10])
            + "-"
        )
        question = Question(messages=prompt, n=ANSWERS, seed=number, max_tokens=10, stop=("\n",))
        for answer in llm.generate(question):
            style = re.sub(r"^(an?|the) ", "", answer.text.strip(" .-*").lower())
            if style in kept or not re.fullmatch(r"[a-z][a-z -]{3,30}", style):
                continue
            if len(style.split()) > 4 or not re.search(MEDIUM, style):
                continue
            if style.endswith(("s", " of", " by", " with")):
                continue
            vector = encoder.encode([f"a {style}"])
            if (plain @ vector[0]).max() > PLAIN:
                continue
            if (known @ vector[0]).max() >= NEAR and (not kept or (vectors @ vector[0]).max() <= ALIKE):
                kept.append(style)
                vectors = torch.cat([vectors, vector])
        if len(kept) >= WANTED:
            break
    print("# Styles for stylized diversification, written by SmolLM2-135M through recipes/styles.py; edit freely.")
    print(yaml.safe_dump(sorted(kept[:WANTED])), end="")


if __name__ == "__main__":
    main()
