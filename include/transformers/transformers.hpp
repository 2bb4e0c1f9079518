// What it is: everything a user needs: typed pipelines, pipeline() by name, Auto classes, tokenizers, errors, version.
// Where it stands: on top; it brings no json, no Eigen and no intrinsics with it.
// Usage:
//   #include <transformers/transformers.hpp>
//   auto classify = transformers::pipeline<transformers::TextClassification>();
#pragma once

#include "transformers/base/callbacks.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/export.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/base/value.hpp"
#include "transformers/generation/generate.hpp"
#include "transformers/models/auto.hpp"
#include "transformers/models/pretrained_model.hpp"
#include "transformers/pipelines/feature_extraction.hpp"
#include "transformers/pipelines/fill_mask.hpp"
#include "transformers/pipelines/pipeline.hpp"
#include "transformers/pipelines/question_answering.hpp"
#include "transformers/pipelines/sentence_similarity.hpp"
#include "transformers/pipelines/text2text_generation.hpp"
#include "transformers/pipelines/text_classification.hpp"
#include "transformers/pipelines/text_generation.hpp"
#include "transformers/pipelines/token_classification.hpp"
#include "transformers/pipelines/zero_shot_classification.hpp"
#include "transformers/tensor/batch.hpp"
#include "transformers/tensor/workspace.hpp"
#include "transformers/tokenizers/tokenizer.hpp"
