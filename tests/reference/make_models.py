#!/usr/bin/env python3
"""Writes tests/data/models/{bert,distilbert}/<case>/: tiny random checkpoints and what Hugging Face answers on them.

Usage: python tests/reference/make_models.py [--only GLOB]      (environment: tests/reference/README.md)

How a case is made, and the options of a row, are in model_cases.py; the other encoders are in make_encoders.py.
"""
from model_cases import FULL, HOLES, LEFT, MIXED, NAMED, RIGHT, SOME, case, labels, main

BERT = dict(hidden_size=30, num_hidden_layers=1, num_attention_heads=3, intermediate_size=44, vocab_size=97,
            max_position_embeddings=40)
DISTILBERT = dict(dim=30, n_layers=1, n_heads=3, hidden_dim=44, vocab_size=97, max_position_embeddings=40)


def bert(name, architecture, rows=MIXED, config=None, **options):
    return case("bert", BERT, name, architecture, rows, config, **options)


def distilbert(name, architecture, rows=MIXED, config=None, **options):
    return case("distilbert", DISTILBERT, name, architecture, rows, config, **options)


CASES = [
    bert("model-mixed", "BertModel", config=dict(num_hidden_layers=2, vocab_size=151), segments=True, spelling=4),
    bert("model-no-mask", "BertModel", FULL, dict(hidden_size=24, intermediate_size=37, num_hidden_layers=3), mask=False, spelling=5,
         note="neither attention_mask nor token_type_ids is given"),
    bert("model-right", "BertModel", RIGHT, dict(hidden_size=40, num_attention_heads=5, intermediate_size=51, hidden_act="relu"), segments=True),
    bert("model-left", "BertModel", LEFT, dict(hidden_size=24, intermediate_size=51, vocab_size=113, hidden_act="gelu_new"),
         note="the pooler reads position 0, which two rows mask"),
    bert("model-holes", "BertModel", HOLES, dict(hidden_size=24, intermediate_size=37, num_hidden_layers=2, hidden_act="silu"), segments=True),
    bert("model-masked-row", "BertModel", ["111111", "......", "1111..", "000000"], dict(hidden_size=24, intermediate_size=37), segments=True,
         skip_rows=[1, 3], note="rows 1 and 3 are masked throughout: compared nowhere, must not be NaN"),
    bert("model-full-length", "BertModel", ["1" * 40, "0" * 20 + "1" * 20], dict(hidden_size=24, intermediate_size=37),
         note="as long as max_position_embeddings"),
    bert("model-one-token", "BertModel", ["1"], dict(hidden_size=24, intermediate_size=37, num_hidden_layers=2), mask=False),
    bert("model-position-ids", "BertModel", MIXED, dict(max_position_embeddings=70, hidden_size=24, intermediate_size=44), segments=True, positions=True),
    bert("model-inputs-embeds", "BertModel", MIXED, dict(hidden_size=24, intermediate_size=44), segments=True, embeds=True),
    bert("model-one-type", "BertModel", MIXED, dict(type_vocab_size=1, hidden_size=24, intermediate_size=37, layer_norm_eps=1e-3)),
    bert("model-one-head", "BertModel", LEFT, dict(hidden_size=64, num_attention_heads=1, intermediate_size=37), segments=True, note="head_dim 64"),
    bert("model-bf16", "BertModel", HOLES, dict(hidden_size=48, num_attention_heads=2, intermediate_size=44), segments=True, store="bfloat16", spelling=5,
         note="float32 arithmetic on the stored weights"),
    bert("model-fp16", "BertModel", MIXED, dict(num_hidden_layers=2), segments=True, store="float16", spelling=4, note="float32 arithmetic on the stored weights"),
    bert("model-no-pooler", "BertModel", MIXED, dict(hidden_size=24, intermediate_size=37), segments=True, without=["pooler."],
         drop_outputs=["pooler_output"], note="the checkpoint has no pooler; HF would make up a random one"),
    bert("model-gamma-beta", "BertModel", MIXED, dict(hidden_size=24, intermediate_size=37, num_hidden_layers=2), segments=True, gamma=True,
         stray={"embeddings.position_ids": (1, 40)}, spelling=4, note="LayerNorm.gamma/beta and a stray position_ids buffer"),
    bert("model-from-headed", "BertModel", MIXED, dict(hidden_size=24, intermediate_size=37), saved_from="BertForPreTraining", segments=True,
         note="written by BertForPreTraining: `bert.` prefix and unused cls.* tensors"),
    bert("model-sharded", "BertModel", MIXED, dict(hidden_size=24, intermediate_size=37), segments=True, shards=3, spelling=5),
    bert("model-bare-config", "BertModel", MIXED, dict(hidden_size=24, intermediate_size=37), segments=True,
         bare=True, note="config.json holds sizes only: defaults apply"),
    bert("seqcls-1", "BertForSequenceClassification", SOME, dict(hidden_size=24, intermediate_size=37, **labels(1)), segments=True, spelling=4),
    bert("seqcls-3", "BertForSequenceClassification", MIXED, labels(3), segments=True, spelling=5),
    bert("seqcls-5-left", "BertForSequenceClassification", LEFT, dict(hidden_size=40, num_attention_heads=5, intermediate_size=51, hidden_act="gelu_new", **labels(5))),
    bert("seqcls-no-prefix", "BertForSequenceClassification", RIGHT, dict(hidden_size=24, intermediate_size=37, **labels(3)), segments=True, prefix="strip",
         note="base weights carry no `bert.` prefix; 5.x loads them"),
    bert("seqcls-masked-row", "BertForSequenceClassification", ["11111", ".....", "111.."], dict(hidden_size=24, intermediate_size=37, **labels(3)), skip_rows=[1]),
    bert("tokencls-5", "BertForTokenClassification", SOME, NAMED, segments=True, spelling=4),
    bert("tokencls-1", "BertForTokenClassification", HOLES, dict(hidden_size=24, intermediate_size=37, hidden_act="silu", **labels(1))),
    bert("tokencls-no-mask", "BertForTokenClassification", FULL, dict(hidden_size=24, intermediate_size=37, **labels(3)), mask=False, segments=True),
    bert("qa", "BertForQuestionAnswering", SOME, dict(vocab_size=131, layer_norm_eps=1e-5), segments=True, spelling=5),
    bert("qa-right", "BertForQuestionAnswering", RIGHT, dict(hidden_size=24, intermediate_size=51, hidden_act="relu"), segments=True, gamma=True, spelling=4),
    bert("mlm-tied", "BertForMaskedLM", SOME, dict(vocab_size=103), segments=True, without=["cls.predictions.decoder."], spelling=5,
         note="decoder.weight and decoder.bias are not in the file"),
    bert("mlm-tied-repeated", "BertForMaskedLM", SOME, dict(hidden_size=24, intermediate_size=37, hidden_act="gelu_new"), segments=True, tie=True, spelling=4,
         note="the file repeats the tied tensors, as 4.x .bin files did"),
    bert("mlm-untied", "BertForMaskedLM", SOME, dict(hidden_size=24, intermediate_size=37, tie_word_embeddings=False), segments=True, spelling=5,
         note="decoder.bias counts, cls.predictions.bias is unused"),
    bert("mlm-tied-but-different", "BertForMaskedLM", RIGHT, dict(hidden_size=24, intermediate_size=37, hidden_act="relu"), segments=True, spelling=5,
         note="tie_word_embeddings is true, but the file holds a decoder of its own: 5.x keeps it"),
    bert("mlm-layernorm-eps", "BertForMaskedLM", LEFT, dict(hidden_size=24, intermediate_size=37, layer_norm_eps=1e-2), without=["cls.predictions.decoder."]),

    bert("choice", "BertForMultipleChoice", MIXED + ["..111111111"], dict(hidden_size=24, intermediate_size=37), segments=True, choices=2),
    bert("choice-embeds", "BertForMultipleChoice", HOLES, dict(hidden_size=24, intermediate_size=37), embeds=True, choices=3, spelling=4),
    bert("nsp", "BertForNextSentencePrediction", MIXED, dict(hidden_size=24, intermediate_size=37), segments=True),
    bert("pretraining", "BertForPreTraining", SOME, dict(hidden_size=24, intermediate_size=37), segments=True, tie=True, spelling=4),
    bert("pretraining-untied", "BertForPreTraining", LEFT, dict(hidden_size=24, intermediate_size=37, tie_word_embeddings=False), segments=True),

    bert("model-mish", "BertModel", SOME, dict(hidden_size=24, intermediate_size=37, hidden_act="mish"), segments=True, drop_outputs=[]),
    bert("lm-decoder", "BertLMHeadModel", MIXED, dict(hidden_size=24, intermediate_size=37, num_hidden_layers=2, is_decoder=True), segments=True,
         without=["cls.predictions.decoder."], note="is_decoder: a token sees those before it"),
    bert("lm-encoder", "BertLMHeadModel", HOLES, dict(hidden_size=24, intermediate_size=37), without=["cls.predictions.decoder."], note="no is_decoder: BertForMaskedLM by another name"),
    bert("model-decoder", "BertModel", LEFT + ["01101110"], dict(hidden_size=24, intermediate_size=37, num_hidden_layers=2, is_decoder=True), whole=True,
         note="the pooler reads position 0, which is masked and sees no key: Hugging Face averages the padded row"),

    distilbert("model-mixed", "DistilBertModel", config=dict(n_layers=2, vocab_size=151), spelling=4),
    distilbert("model-no-mask", "DistilBertModel", FULL, dict(dim=24, hidden_dim=37, n_layers=2), mask=False, spelling=5),
    distilbert("model-left", "DistilBertModel", LEFT, dict(dim=40, n_heads=5, hidden_dim=51, activation="relu")),
    distilbert("model-masked-row", "DistilBertModel", ["111111", "......", "10110."], dict(dim=24, hidden_dim=37), skip_rows=[1],
               note="row 1 is masked throughout: compared nowhere, must not be NaN"),
    distilbert("model-sinusoidal", "DistilBertModel", MIXED, dict(dim=24, hidden_dim=37, sinusoidal_pos_embds=True), sinusoid=True,
               note="sinusoidal_pos_embds; the table is in the file, as 5.x writes it"),
    distilbert("model-sinusoidal-computed", "DistilBertModel", RIGHT, dict(dim=24, hidden_dim=37, sinusoidal_pos_embds=True), without=["embeddings.position_embeddings."],
               note="sinusoidal_pos_embds; the table is not in the file"),
    distilbert("model-position-ids", "DistilBertModel", MIXED, dict(max_position_embeddings=70, dim=24, hidden_dim=37), positions=True),
    distilbert("model-inputs-embeds", "DistilBertModel", RIGHT, dict(dim=24, hidden_dim=37, activation="gelu_new"), embeds=True),
    distilbert("model-from-headed", "DistilBertModel", MIXED, dict(dim=24, hidden_dim=37), saved_from="DistilBertForMaskedLM",
               note="written by DistilBertForMaskedLM: `distilbert.` prefix and unused vocab_* tensors"),
    distilbert("model-bare-config", "DistilBertModel", MIXED, dict(dim=24, hidden_dim=37),
               bare=True, note="config.json holds sizes only: defaults apply"),
    distilbert("model-bf16", "DistilBertModel", HOLES, dict(dim=64, n_heads=1, hidden_dim=51), store="bfloat16", spelling=5),
    distilbert("seqcls-1", "DistilBertForSequenceClassification", SOME, dict(dim=24, hidden_dim=37, **labels(1)), spelling=4),
    distilbert("seqcls-3", "DistilBertForSequenceClassification", MIXED, labels(3), spelling=5),
    distilbert("seqcls-5-fp16", "DistilBertForSequenceClassification", LEFT, dict(dim=40, n_heads=5, hidden_dim=51, activation="silu", **labels(5)), store="float16"),
    distilbert("seqcls-no-prefix", "DistilBertForSequenceClassification", HOLES, dict(dim=24, hidden_dim=37, **labels(3)), prefix="strip"),
    distilbert("tokencls-5", "DistilBertForTokenClassification", SOME, NAMED),
    distilbert("tokencls-3-no-mask", "DistilBertForTokenClassification", FULL, dict(dim=24, hidden_dim=37, **labels(3)), mask=False),
    distilbert("qa", "DistilBertForQuestionAnswering", SOME, dict(vocab_size=131), spelling=5),
    distilbert("choice", "DistilBertForMultipleChoice", MIXED + ["..111111111"], dict(dim=24, hidden_dim=37), choices=3),
    distilbert("mlm-tied", "DistilBertForMaskedLM", SOME, dict(vocab_size=103), without=["vocab_projector.weight"], spelling=5),
    distilbert("mlm-untied", "DistilBertForMaskedLM", RIGHT, dict(dim=24, hidden_dim=37, activation="relu", tie_word_embeddings=False), spelling=4),
    distilbert("mlm-gelu-new", "DistilBertForMaskedLM", HOLES, dict(dim=24, hidden_dim=37, activation="gelu_new"), without=["vocab_projector.weight"]),
]

if __name__ == "__main__":
    main(CASES, __doc__)
