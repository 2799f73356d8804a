import pytest
import torch

from synaug.backends.llm import open_llm
from synaug.backends.protocols import Question
from synaug.backends.resolve import resolve_llm
from synaug.config import Config
from synaug.errors import ModelError
from synaug.run.tokens import TokenCount

LINES = "dog: brown | in a garden | in sunlight | from the side\ncup: blue | on a table | backlit | close-up\nhat:"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random chat model with a tokenizer and a template, as a transformers folder."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    path = tmp_path_factory.mktemp("llm")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<end>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator([LINES], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")
    fast.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"
    fast.save_pretrained(path)
    torch.manual_seed(0)
    sizes = dict(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2
    )
    LlamaForCausalLM(LlamaConfig(vocab_size=len(fast), eos_token_id=0, pad_token_id=0, **sizes)).save_pretrained(path)
    return path


def config(model, **settings):
    return Config.model_validate({"prompts": {"llm": {"model": str(model), **settings}}, "compute": {"device": "cpu"}})


@pytest.fixture(scope="module")
def llm(folder):
    return open_llm(config(folder))


def texts(llm, messages, **settings):
    return [answer.text for answer in llm.generate(Question(messages=messages, **settings))]


def test_a_chat_and_a_text_are_continued_n_times(llm):
    for messages in ([{"role": "user", "content": "a dog"}], LINES):
        answers = texts(llm, messages, n=3, seed=1, max_tokens=8)
        assert len(answers) == 3 and len(set(answers)) > 1


def test_answers_depend_on_the_seed_and_leave_torchs_generator_alone(llm):
    state = torch.get_rng_state()
    first, again, other = (texts(llm, LINES, n=2, seed=seed, max_tokens=8) for seed in (5, 5, 6))
    assert first == again != other
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("prompt", [LINES, "a dog", "d"])
def test_sharing_the_read_prompt_gives_the_answers_of_num_return_sequences(llm, prompt):
    ids = llm.tokenizer(prompt, return_tensors="pt")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        output = llm.model.generate(
            **ids,
            do_sample=True,
            num_return_sequences=4,
            temperature=llm.temperature,
            top_p=llm.top_p,
            top_k=0,
            max_new_tokens=12,
            pad_token_id=llm.tokenizer.pad_token_id,
        )
    expected = llm.tokenizer.batch_decode(output[:, ids["input_ids"].shape[1] :], skip_special_tokens=True)
    assert texts(llm, prompt, n=4, seed=3, max_tokens=12) == expected and len(set(expected)) > 1


def test_a_stop_text_ends_an_answer(llm):
    assert all("a" not in answer for answer in texts(llm, LINES, n=4, seed=0, max_tokens=20, stop=("a",)))


def test_an_answer_that_ends_at_max_tokens_is_cut_and_one_at_a_stop_text_is_not(llm):
    before = llm.tokens
    cut, whole = (
        llm.generate(Question(messages=LINES, n=3, seed=0, max_tokens=most, stop=("a", "e", "o", " ")))
        for most in (1, 200)
    )
    assert any(answer.cut for answer in cut) and not any(answer.cut for answer in whole)
    assert all(answer.tokens.output == 1 for answer in cut) and all(answer.tokens.output > 0 for answer in whole)
    read = len(llm.tokenizer(LINES)["input_ids"])
    written = sum(answer.tokens.output for answer in cut + whole)
    assert llm.tokens == before + TokenCount(6 * read, written)


def test_likelihoods_do_not_depend_on_what_is_scored_beside(llm):
    texts = [" brown", " on a table in the garden"]
    assert llm.log_likelihoods("cup:", texts) == pytest.approx(
        [llm.log_likelihoods("cup:", [text])[0] for text in texts], abs=1e-4
    )


def test_a_small_model_is_known_as_one(llm):
    assert llm.capabilities.small


def test_a_folder_is_resolved_by_its_contents(folder):
    assert resolve_llm(config(folder)).revision.startswith("sha256:")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_llm(config(tmp_path))


def test_the_embedded_model_is_real():
    llm = open_llm(Config.model_validate({"compute": {"device": "cpu"}}))
    assert llm.capabilities.small and llm.info.license == "Apache-2.0" and "-" in llm.info.revision
    good, bad = llm.log_likelihoods("A sandal is", [" a kind of shoe", " a kind of mammal"])
    assert good > bad
