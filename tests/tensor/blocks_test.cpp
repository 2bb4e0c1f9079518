// Tests tensor/blocks.hpp: the block formats against what the gguf package makes of the same blocks, and Tensors of
// them.
#include "transformers/tensor/blocks.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "support.hpp"
#include "transformers/io/safetensors.hpp"

namespace transformers {
namespace {

constexpr DType kFormats[] = {DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1,
                              DType::q8_0, DType::q4_k, DType::q5_k, DType::q6_k};

bool same_bits(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0; }

TEST(BlocksReference, DequantizesAsTheGgufPackage) {
  const auto file = SafetensorsFile::open(std::string(TCPP_TEST_DATA) + "/io/blocks.safetensors");
  for (const DType dtype : kFormats) {
    const std::string name(to_string(dtype));
    const Tensor blocks = file->tensor(name), values = file->tensor(name + ".values").to_aligned();
    ASSERT_EQ(static_cast<std::size_t>(blocks.dim(1)), dtype_block(dtype).bytes) << name;
    ASSERT_EQ(values.dim(1), dtype_block(dtype).elements) << name;
    const Tensor tensor(dtype, values.shape(), blocks.raw(), std::make_shared<Tensor>(blocks));
    const Tensor floats = tensor.to_float32();
    for (int64_t i = 0; i < values.size(); ++i) {
      ASSERT_TRUE(same_bits(floats.data<float>()[i], values.data<float>()[i]))
          << name << " number " << i << ": " << floats.data<float>()[i] << " for " << values.data<float>()[i];
    }
  }
}

TEST(Blocks, AreTakenApartWithoutLoss) {
  const auto file = SafetensorsFile::open(std::string(TCPP_TEST_DATA) + "/io/blocks.safetensors");
  for (const DType dtype : kFormats) {
    const std::string name(to_string(dtype));
    const Tensor blocks = file->tensor(name), values = file->tensor(name + ".values").to_aligned();
    const int64_t group = block_group(dtype);
    std::vector<int8_t> q(static_cast<std::size_t>(values.size()));
    std::vector<float> scales(q.size() / static_cast<std::size_t>(group)), offsets(scales.size(), NAN);
    decode_blocks(dtype, blocks.raw(), values.size(), q.data(), scales.data(), offsets.data());
    for (std::size_t i = 0; i < q.size(); ++i) {
      const std::size_t g = i / static_cast<std::size_t>(group);
      ASSERT_EQ(scales[g] * static_cast<float>(q[i]) + offsets[g], values.data<float>()[i]) << name << " number " << i;
    }
    std::vector<float> only_scales(scales.size());
    decode_blocks(dtype, blocks.raw(), values.size(), nullptr, only_scales.data(), offsets.data());
    EXPECT_EQ(only_scales, scales) << name;
    if (block_has_half_scales(dtype)) {
      std::vector<uint16_t> halves(scales.size()), offset_halves(scales.size());
      copy_half_scales(dtype, blocks.raw(), values.size(), halves.data(), offset_halves.data());
      for (std::size_t g = 0; g < scales.size(); ++g) {
        EXPECT_EQ(half_to_float(halves[g]), scales[g]) << name << " group " << g;
        EXPECT_EQ(half_to_float(offset_halves[g]), offsets[g]) << name << " group " << g;
      }
    }
    std::vector<int8_t> again(q.size());
    decode_blocks(dtype, blocks.raw(), values.size(), again.data(), nullptr, nullptr);
    EXPECT_EQ(again, q) << name;
    if (block_has_offset(dtype)) continue;
    decode_blocks(dtype, blocks.raw(), values.size(), again.data(), scales.data(), nullptr);
    EXPECT_EQ(again, q) << name;
  }
}

TEST(Blocks, TensorsHoldWholeBlocks) {
  for (const DType dtype : kFormats) {
    const auto [elements, bytes] = dtype_block(dtype);
    const Tensor tensor = Tensor::zeros(dtype, {3, 2 * elements});
    EXPECT_EQ(tensor.bytes(), 6 * bytes);
    EXPECT_TRUE(tensor.aligned());
    EXPECT_EQ(tensor.span<uint8_t>().size(), 6 * bytes);
    EXPECT_EQ(tensor.slice(1, 3).data<uint8_t>(), tensor.data<uint8_t>() + 2 * bytes);
    EXPECT_EQ(tensor.to_float32().shape(), tensor.shape());
    const std::string block = std::to_string(elements) + ", the block of " + std::string(to_string(dtype));
    EXPECT_ERROR(ErrorCode::invalid_argument, "the last dimension of shape [3, 40] is no multiple of " + block,
                 Tensor::zeros(dtype, {3, 40}));
    EXPECT_ERROR(ErrorCode::invalid_argument, "the last dimension of shape [] is no multiple of " + block,
                 Tensor::zeros(dtype, {}));
    EXPECT_EQ(test::error_of([&, elements = elements] { Tensor::zeros(dtype, {elements}).slice(0, 1); }).code(),
              ErrorCode::invalid_argument);
  }
}

}  // namespace
}  // namespace transformers
