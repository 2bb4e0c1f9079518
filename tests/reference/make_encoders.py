#!/usr/bin/env python3
"""Writes tests/data/models/<family>/<case>/ of the encoders beside BERT: tiny random checkpoints and Hugging Face's answers.

Usage: python tests/reference/make_encoders.py [--only GLOB]      (environment: tests/reference/README.md)

How a case is made, and the options of a row, are in model_cases.py.
"""
from model_cases import FULL, HOLES, LEFT, MIXED, NAMED, RIGHT, SOME, case, labels, main

SMALL = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=37, vocab_size=61, max_position_embeddings=40)
CHOICES = MIXED + ["..111111111"]


def family(model_type, sizes, prefix, **always):
    """The function that makes a case of one family: name, class without the family's prefix, rows, changes of the config."""
    return lambda name, head, rows=MIXED, config=None, **options: case(model_type, sizes, name, prefix + head, rows, config, **always, **options)


roberta = family("roberta", {**SMALL, "pad_token_id": 1, "type_vocab_size": 1}, "Roberta")
xlm_roberta = family("xlm-roberta", {**SMALL, "pad_token_id": 1, "type_vocab_size": 1}, "XLMRoberta")
camembert = family("camembert", {**SMALL, "pad_token_id": 1, "type_vocab_size": 1}, "Camembert")
albert = family("albert", {**SMALL, "embedding_size": 13}, "Albert")
electra = family("electra", {**SMALL, "embedding_size": 13}, "Electra")
mpnet = family("mpnet", SMALL, "MPNet")
V3 = dict(relative_attention=True, position_buckets=4, max_relative_positions=-1, pos_att_type=["p2c", "c2p"], share_att_key=True, norm_rel_ebd="layer_norm",
          position_biased_input=False, type_vocab_size=0)


def deberta(name, head, rows=MIXED, config=None, **options):
    return case("deberta-v2", {**SMALL, "layer_norm_eps": 1e-7}, name, "DebertaV2" + head, rows, config, tolerance=2e-4, **options)

modernbert = family("modernbert", {**SMALL, "num_hidden_layers": 3, "pad_token_id": 0, "local_attention": 4}, "ModernBert", float64=False)

CASES = [
    roberta("model-mixed", "Model", spelling=4, note="positions count the ids that are not pad, from the ids and not from the mask"),
    roberta("model-no-mask", "Model", FULL, dict(num_attention_heads=2), mask=False, spelling=5),
    roberta("model-left", "Model", LEFT, dict(hidden_act="relu", type_vocab_size=3, layer_norm_eps=1e-5), segments=True),
    roberta("model-holes", "Model", HOLES, dict(pad_token_id=5, hidden_size=40, num_attention_heads=5, num_hidden_layers=1), note="another pad_token_id moves all positions"),
    roberta("model-embeds", "Model", MIXED, dict(num_hidden_layers=1), embeds=True, note="no ids: positions count from pad_token_id + 1"),
    roberta("model-positions", "Model", MIXED, dict(num_hidden_layers=1, max_position_embeddings=70), positions=True),
    roberta("model-full-length", "Model", ["1" * 38, "0" * 20 + "1" * 18], dict(num_hidden_layers=1), note="max_position_embeddings - pad_token_id - 1 tokens"),
    roberta("model-masked-row", "Model", ["111111", "......", "1011.."], dict(num_hidden_layers=1), skip_rows=[1]),
    roberta("model-no-pooler", "Model", SOME, dict(num_hidden_layers=1), saved_from="RobertaForMaskedLM", without=["pooler."], drop_outputs=["pooler_output"],
            note="written by RobertaForMaskedLM: prefix, unused lm_head, no pooler"),
    roberta("seqcls-3", "ForSequenceClassification", MIXED, labels(3), spelling=4),
    roberta("seqcls-1-left", "ForSequenceClassification", LEFT, dict(hidden_act="gelu_new", problem_type="regression", **labels(1)), store="float16"),
    roberta("seqcls-no-prefix", "ForSequenceClassification", RIGHT, dict(num_hidden_layers=1, **labels(4)), prefix="strip"),
    roberta("tokencls-5", "ForTokenClassification", SOME, NAMED),
    roberta("qa", "ForQuestionAnswering", SOME, dict(num_hidden_layers=1)),
    roberta("choice", "ForMultipleChoice", CHOICES, dict(num_hidden_layers=1), choices=3),
    roberta("mlm-tied", "ForMaskedLM", SOME, dict(hidden_act="relu"), without=["lm_head.decoder."], spelling=5, note="the head's activation is gelu whatever hidden_act is"),
    roberta("mlm-tied-repeated", "ForMaskedLM", HOLES, dict(num_hidden_layers=1), tie=True, spelling=4),
    roberta("mlm-untied", "ForMaskedLM", RIGHT, dict(num_hidden_layers=1, tie_word_embeddings=False)),
    roberta("model-quick-gelu", "Model", RIGHT, dict(num_hidden_layers=1, hidden_act="quick_gelu")),
    roberta("lm-decoder", "ForCausalLM", MIXED, dict(is_decoder=True), without=["lm_head.decoder."]),

    xlm_roberta("model-mixed", "Model", MIXED, dict(num_attention_heads=4), store="bfloat16"),
    xlm_roberta("seqcls-2-left", "ForSequenceClassification", LEFT, dict(num_hidden_layers=1, **labels(2))),
    xlm_roberta("tokencls-5", "ForTokenClassification", HOLES, dict(num_hidden_layers=1, **NAMED)),
    xlm_roberta("qa", "ForQuestionAnswering", RIGHT, dict(num_hidden_layers=1)),
    xlm_roberta("choice", "ForMultipleChoice", HOLES, dict(num_hidden_layers=1), choices=3),
    xlm_roberta("mlm-tied", "ForMaskedLM", SOME, dict(num_hidden_layers=1), without=["lm_head.decoder."], spelling=4),
    xlm_roberta("lm-decoder", "ForCausalLM", RIGHT, dict(is_decoder=True, num_hidden_layers=1), without=["lm_head.decoder."]),

    camembert("model-mixed", "Model", MIXED, dict(num_attention_heads=6)),
    camembert("seqcls-3", "ForSequenceClassification", MIXED, dict(num_hidden_layers=1, **labels(3)), spelling=4),
    camembert("tokencls-5", "ForTokenClassification", LEFT, dict(num_hidden_layers=1, **NAMED)),
    camembert("qa", "ForQuestionAnswering", RIGHT, dict(num_hidden_layers=1)),
    camembert("choice", "ForMultipleChoice", HOLES, dict(num_hidden_layers=1), choices=1),
    camembert("mlm-tied", "ForMaskedLM", SOME, dict(num_hidden_layers=1), without=["lm_head.decoder."]),
    camembert("lm-decoder", "ForCausalLM", LEFT, dict(is_decoder=True, num_hidden_layers=1), without=["lm_head.decoder."]),

    albert("model-mixed", "Model", segments=True, spelling=4),
    albert("model-groups", "Model", HOLES, dict(num_hidden_layers=5, num_hidden_groups=2, hidden_size=18), segments=True, note="groups of three and two layers"),
    albert("model-uneven-groups", "Model", RIGHT, dict(num_hidden_layers=7, num_hidden_groups=3, hidden_size=18)),
    albert("model-more-groups", "Model", LEFT, dict(num_hidden_layers=2, num_hidden_groups=3, hidden_size=18), note="more groups than layers: group 1 is never run"),
    albert("model-inner", "Model", MIXED, dict(inner_group_num=2, num_hidden_groups=2, hidden_size=18, hidden_act="gelu"), segments=True, spelling=5,
           note="two layers in a group: four hidden states after the embeddings"),
    albert("model-wide-embedding", "Model", FULL, dict(embedding_size=32, num_hidden_layers=1), mask=False),
    albert("model-embeds", "Model", MIXED, dict(num_hidden_layers=1), embeds=True),
    albert("model-masked-row", "Model", ["111111", "......", "1011.."], dict(num_hidden_layers=1), skip_rows=[1]),
    albert("seqcls-3", "ForSequenceClassification", MIXED, dict(hidden_act="relu", **labels(3)), segments=True),
    albert("seqcls-1-left", "ForSequenceClassification", LEFT, dict(num_hidden_layers=3, **labels(1)), store="bfloat16"),
    albert("tokencls-5", "ForTokenClassification", SOME, NAMED, segments=True),
    albert("qa", "ForQuestionAnswering", RIGHT, dict(layer_norm_eps=1e-3), spelling=4),
    albert("choice", "ForMultipleChoice", CHOICES, segments=True, choices=2),
    albert("mlm-tied", "ForMaskedLM", SOME, segments=True, without=["predictions.decoder."], spelling=4),
    albert("mlm-untied", "ForMaskedLM", LEFT, dict(tie_word_embeddings=False)),
    albert("pretraining", "ForPreTraining", MIXED, labels(2), segments=True, tie=True),

    electra("model-mixed", "Model", segments=True, spelling=4),
    electra("model-same-width", "Model", HOLES, dict(embedding_size=24), segments=True, note="embedding_size = hidden_size: no embeddings_project"),
    electra("model-embeds", "Model", LEFT, dict(num_hidden_layers=1), embeds=True, positions=True),
    electra("seqcls-3", "ForSequenceClassification", MIXED, dict(hidden_act="relu", **labels(3)), segments=True, spelling=5),
    electra("seqcls-1-left", "ForSequenceClassification", LEFT, dict(num_hidden_layers=1, **labels(1))),
    electra("tokencls-5", "ForTokenClassification", SOME, NAMED, segments=True),
    electra("qa", "ForQuestionAnswering", RIGHT, dict(num_hidden_layers=1)),
    electra("choice-first", "ForMultipleChoice", CHOICES, dict(num_hidden_layers=1), segments=True, choices=3, spelling=4),
    electra("choice-last", "ForMultipleChoice", CHOICES, dict(num_hidden_layers=1, summary_type="last", summary_activation="tanh"), choices=2),
    electra("choice-mean", "ForMultipleChoice", CHOICES, dict(num_hidden_layers=1, summary_type="mean", summary_use_proj=False), choices=2,
            note="Hugging Face's mean takes masked positions in"),
    electra("choice-cls-index", "ForMultipleChoice", HOLES, dict(num_hidden_layers=1, summary_type="cls_index"), choices=3),
    electra("mlm-tied", "ForMaskedLM", SOME, dict(hidden_act="silu"), segments=True, without=["generator_lm_head.weight"], spelling=4),
    electra("mlm-untied", "ForMaskedLM", HOLES, dict(num_hidden_layers=1, embedding_size=24, tie_word_embeddings=False)),
    electra("discriminator", "ForPreTraining", MIXED, dict(hidden_act="gelu_new"), segments=True),
    electra("discriminator-left", "ForPreTraining", LEFT, dict(num_hidden_layers=1), store="float16"),
    electra("lm-decoder", "ForCausalLM", MIXED, dict(is_decoder=True), segments=True, without=["generator_lm_head.weight"]),
    mpnet("model-mixed", "Model", spelling=4),
    mpnet("model-holes", "Model", HOLES, dict(num_attention_heads=4, hidden_act="relu"), note="distances count the hole"),
    mpnet("model-far", "Model", ["1" * 150, "." * 60 + "1" * 90], dict(hidden_size=12, num_attention_heads=2, num_hidden_layers=1, intermediate_size=20, max_position_embeddings=160),
          note="distances past the last bucket"),
    mpnet("model-more-buckets", "Model", LEFT, dict(relative_attention_num_buckets=40, num_hidden_layers=1, pad_token_id=0), note="32 buckets and pad id 1, whatever the config says"),
    mpnet("model-embeds", "Model", MIXED, dict(num_hidden_layers=1), embeds=True),
    mpnet("seqcls-3", "ForSequenceClassification", MIXED, dict(num_hidden_layers=1, **labels(3)), store="bfloat16"),
    mpnet("tokencls-5", "ForTokenClassification", SOME, NAMED),
    mpnet("qa", "ForQuestionAnswering", RIGHT, dict(num_hidden_layers=1)),
    mpnet("choice", "ForMultipleChoice", CHOICES, dict(num_hidden_layers=1), choices=2),
    mpnet("mlm-tied", "ForMaskedLM", SOME, dict(hidden_act="silu"), without=["lm_head.decoder."], spelling=4),
    mpnet("mlm-untied", "ForMaskedLM", LEFT, dict(num_hidden_layers=1, tie_word_embeddings=False)),
    deberta("model-plain", "Model", segments=True, note="no relative attention: BERT without token types"),
    deberta("model-v3", "Model", MIXED, V3, spelling=4, note="the options of DeBERTa v3"),
    deberta("model-v2", "Model", HOLES, {**V3, "conv_kernel_size": 3, "conv_act": "gelu", "position_buckets": 6}, note="the options of DeBERTa v2: a convolution beside layer 0, in which a hole is zeros"),
    deberta("model-conv-groups", "Model", MIXED, dict(conv_kernel_size=5, conv_groups=3, type_vocab_size=2, num_hidden_layers=1), segments=True),
    deberta("model-conv-1", "Model", LEFT, {**V3, "conv_kernel_size": 1, "num_hidden_layers": 1}),
    deberta("model-c2p", "Model", LEFT, {**V3, "share_att_key": False, "pos_att_type": ["c2p"]}),
    deberta("model-p2c", "Model", HOLES, {**V3, "share_att_key": False, "pos_att_type": ["p2c"], "norm_rel_ebd": "none"}),
    deberta("model-both", "Model", MIXED, {**V3, "share_att_key": False, "position_biased_input": True, "num_hidden_layers": 1}, segments=True),
    deberta("model-no-buckets", "Model", MIXED, {**V3, "position_buckets": -1, "max_relative_positions": 5, "num_hidden_layers": 1}, note="distances are cut at five"),
    deberta("model-default-distance", "Model", RIGHT, {**V3, "position_buckets": -1, "max_position_embeddings": 16, "num_hidden_layers": 1}, note="max_relative_positions -1: max_position_embeddings"),
    deberta("model-no-kinds", "Model", SOME, {**V3, "pos_att_type": None, "num_hidden_layers": 1}, note="relative attention without a kind of it"),
    deberta("model-kinds-unused", "Model", SOME, dict(pos_att_type=["c2p", "p2c"], num_hidden_layers=1), note="no relative attention, but the kinds count in the scale"),
    deberta("model-odd-buckets", "Model", ["1" * 30, "." * 9 + "1" * 21], {**V3, "position_buckets": 5, "max_relative_positions": 12, "num_hidden_layers": 1}),
    deberta("model-far", "Model", ["1" * 130, "." * 60 + "1" * 70], {**V3, "position_buckets": 16, "max_relative_positions": 64, "hidden_size": 12, "num_attention_heads": 2,
            "num_hidden_layers": 1, "intermediate_size": 20}, note="longer than max_position_embeddings and than the buckets reach"),
    deberta("model-factorized", "Model", MIXED, {**V3, "embedding_size": 13, "type_vocab_size": 3, "position_biased_input": True, "num_hidden_layers": 1}, segments=True),
    deberta("model-embeds", "Model", MIXED, {**V3, "num_hidden_layers": 1}, embeds=True),
    deberta("seqcls-3", "ForSequenceClassification", MIXED, {**V3, **labels(3)}, store="float16"),
    deberta("seqcls-1-left", "ForSequenceClassification", LEFT, {**V3, "conv_kernel_size": 3, "pooler_hidden_act": "tanh", **labels(1)}, note="position 0 is masked in two rows, and Hugging Face masks its query too"),
    deberta("tokencls-5", "ForTokenClassification", SOME, {**V3, **NAMED}),
    deberta("qa", "ForQuestionAnswering", RIGHT, {**V3, "num_hidden_layers": 1}),
    deberta("choice", "ForMultipleChoice", CHOICES, {**V3, "num_hidden_layers": 1}, choices=2),
    deberta("mlm-legacy", "ForMaskedLM", SOME, {**V3, "hidden_act": "relu"}, without=["cls.predictions.decoder."], spelling=4),
    deberta("mlm-legacy-untied", "ForMaskedLM", HOLES, {**V3, "embedding_size": 13, "tie_word_embeddings": False, "num_hidden_layers": 1}),
    deberta("mlm-new", "ForMaskedLM", MIXED, {**V3, "legacy": False, "num_hidden_layers": 1}),
    modernbert("model-mixed", "Model", note="layer 0 sees everything, layers 1 and 2 a window of two tokens on each side"),
    modernbert("model-old-names", "Model", HOLES, spelling=4, note="global_attn_every_n_layers, global_rope_theta and local_rope_theta of 4.x"),
    modernbert("model-types", "Model", LEFT, dict(layer_types=["sliding_attention", "full_attention", "sliding_attention"], local_attention=3, norm_bias=True, attention_bias=True,
               mlp_bias=True, hidden_activation="gelu_new", norm_eps=1e-3)),
    modernbert("model-thetas", "Model", MIXED, dict(num_hidden_layers=2, rope_parameters={"full_attention": {"rope_type": "linear", "rope_theta": 500.0, "factor": 2.0},
               "sliding_attention": {"rope_type": "default", "rope_theta": 70.0}})),
    modernbert("model-yarn", "Model", MIXED, dict(num_hidden_layers=2, max_position_embeddings=64, rope_parameters={
               "full_attention": {"rope_type": "yarn", "rope_theta": 100.0, "factor": 2.0, "original_max_position_embeddings": 32, "truncate": False},
               "sliding_attention": {"rope_type": "yarn", "rope_theta": 500.0, "factor": 4.0, "original_max_position_embeddings": 16, "beta_fast": 8.0}}),
               note="\"truncate\" counts beside the kinds of layers, not inside them"),
    modernbert("model-window-1", "Model", FULL, dict(num_hidden_layers=2, local_attention=1), mask=False, note="a token in a window of its own"),
    modernbert("model-long", "Model", ["1" * 60, "." * 25 + "1" * 35], dict(num_hidden_layers=2, local_attention=16, hidden_size=12, intermediate_size=20, num_attention_heads=2, vocab_size=40),
               note="longer than max_position_embeddings"),
    modernbert("model-embeds", "Model", MIXED, dict(num_hidden_layers=2), embeds=True),
    modernbert("model-positions", "Model", MIXED, dict(num_hidden_layers=2), positions=True, note="explicit positions turn, but the window goes by columns"),
    modernbert("seqcls-cls", "ForSequenceClassification", MIXED, dict(num_hidden_layers=2, **labels(3)), store="bfloat16"),
    modernbert("seqcls-cls-left", "ForSequenceClassification", ["11111111", "....1111", "......11"], dict(classifier_bias=True, norm_bias=True, classifier_activation="relu", **labels(2)),
               note="position 0 is masked and sees no key in its window: Hugging Face averages the padded row"),
    modernbert("seqcls-mean", "ForSequenceClassification", MIXED, dict(num_hidden_layers=2, classifier_pooling="mean", **labels(1))),
    modernbert("seqcls-mean-no-mask", "ForSequenceClassification", FULL, dict(num_hidden_layers=2, classifier_pooling="mean", **labels(2)), mask=False),
    modernbert("tokencls-5", "ForTokenClassification", SOME, dict(num_hidden_layers=2, **NAMED)),
    modernbert("qa", "ForQuestionAnswering", RIGHT, dict(num_hidden_layers=2)),
    modernbert("choice-cls", "ForMultipleChoice", CHOICES, dict(num_hidden_layers=2), choices=2, note="the first token that is not masked"),
    modernbert("choice-mean", "ForMultipleChoice", HOLES, dict(num_hidden_layers=2, classifier_pooling="mean"), choices=3),
    modernbert("mlm-tied", "ForMaskedLM", SOME, dict(num_hidden_layers=2), without=["decoder.weight"], spelling=4),
    modernbert("mlm-untied", "ForMaskedLM", LEFT, dict(num_hidden_layers=2, tie_word_embeddings=False, decoder_bias=False)),
]

if __name__ == "__main__":
    main(CASES, __doc__)
