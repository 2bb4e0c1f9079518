// Implements tensor/tensor.hpp.
#include "transformers/tensor/tensor.hpp"

#include <bit>
#include <cassert>
#include <cstring>
#include <limits>
#include <utility>

#include "transformers/base/error.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/tensor/blocks.hpp"

namespace transformers {
namespace {

float bfloat_to_float(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

// Elements may be unaligned.
template <class T, class Convert>
void convert(const void* from, int64_t count, float* to, Convert to_float) {
  const auto* bytes = static_cast<const std::byte*>(from);
  for (int64_t i = 0; i < count; ++i) {
    T element;
    std::memcpy(&element, bytes + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
    to[i] = to_float(element);
  }
}

}  // namespace

std::string to_string(const Shape& shape) {
  std::string out = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) out += ", ";
    out += std::to_string(shape[i]);
  }
  return out + "]";
}

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  bool empty = false;
  for (const int64_t dimension : shape) {
    if (dimension < 0) {
      throw Error(ErrorCode::invalid_argument, "negative dimension in shape " + to_string(shape));
    }
    // A dimension of 0 does not hide an overflow of the others: the product of any part of a shape is then safe too.
    empty = empty || dimension == 0;
    if (dimension > 0 && count > std::numeric_limits<int64_t>::max() / dimension) {
      throw Error(ErrorCode::limit, "the size of shape " + to_string(shape) + " overflows");
    }
    count *= dimension > 0 ? dimension : 1;
  }
  return empty ? 0 : count;
}

Tensor::Tensor(DType dtype, Shape shape, const void* data, std::shared_ptr<const void> owner)
    : dtype_(dtype), shape_(std::move(shape)), size_(element_count(shape_)), data_(data), owner_(std::move(owner)) {
  const DTypeBlock block = dtype_block(dtype);
  if (size_ / block.elements > std::numeric_limits<int64_t>::max() / static_cast<int64_t>(block.bytes)) {
    throw Error(ErrorCode::limit, "the bytes of shape " + to_string(shape_) + " overflow");
  }
  if (block.elements > 1 && (shape_.empty() || shape_.back() % block.elements != 0)) {
    throw Error(ErrorCode::invalid_argument, "the last dimension of shape " + to_string(shape_) +
                                                 " is no multiple of " + std::to_string(block.elements) +
                                                 ", the block of " + std::string(transformers::to_string(dtype)));
  }
}

Tensor Tensor::zeros(DType dtype, Shape shape) {
  Tensor tensor(dtype, std::move(shape), nullptr, nullptr);
  auto memory = allocate_bytes(tensor.bytes());
  tensor.data_ = memory.get();
  tensor.owner_ = std::move(memory);
  return tensor;
}

Tensor Tensor::copy_of(DType dtype, Shape shape, const void* data, std::size_t bytes) {
  Tensor tensor = zeros(dtype, std::move(shape));
  if (bytes != tensor.bytes()) {
    throw Error(ErrorCode::invalid_argument, "shape " + to_string(tensor.shape_) + " needs " +
                                                 std::to_string(tensor.bytes()) + " bytes, the values have " +
                                                 std::to_string(bytes));
  }
  if (bytes > 0) std::memcpy(const_cast<void*>(tensor.data_), data, bytes);
  return tensor;
}

void Tensor::check_type(std::size_t element_size) const {
  if (element_size != dtype_size(dtype_)) {
    throw Error(ErrorCode::internal, "a tensor of " + std::string(to_string(dtype_)) + " read as elements of " +
                                         std::to_string(element_size) + " bytes");
  }
  assert(aligned());
}

Tensor Tensor::slice(int64_t begin, int64_t end) const {
  if (shape_.empty() || begin < 0 || begin > end || end > shape_[0] || (rank() == 1 && is_block_format(dtype_))) {
    throw Error(ErrorCode::invalid_argument, "rows [" + std::to_string(begin) + ", " + std::to_string(end) +
                                                 ") of a tensor of shape " + to_string(shape_));
  }
  Shape shape = shape_;
  shape[0] = 1;
  const std::size_t row_bytes = dtype_bytes(dtype_, element_count(shape));
  shape[0] = end - begin;
  const auto* data = static_cast<const std::byte*>(data_);
  return Tensor(dtype_, std::move(shape), data ? data + static_cast<std::size_t>(begin) * row_bytes : data, owner_);
}

Tensor Tensor::reshaped(Shape shape) const {
  if (element_count(shape) != size_) {
    throw Error(ErrorCode::invalid_argument,
                "a tensor of shape " + to_string(shape_) + " cannot be reshaped to " + to_string(shape));
  }
  return Tensor(dtype_, std::move(shape), data_, owner_);
}

Tensor Tensor::to_aligned() const { return aligned() ? *this : copy_of(dtype_, shape_, data_, bytes()); }

Tensor Tensor::to_float32() const {
  if (dtype_ == DType::f32 && aligned()) return *this;
  Tensor out = zeros(DType::f32, shape_);
  auto* const to = out.mutable_data<float>();
  const auto cast = [](auto element) { return static_cast<float>(element); };
  switch (dtype_) {
    case DType::f32:
      convert<float>(data_, size_, to, cast);
      break;
    case DType::f16:
      convert<uint16_t>(data_, size_, to, half_to_float);
      break;
    case DType::bf16:
      convert<uint16_t>(data_, size_, to, bfloat_to_float);
      break;
    case DType::f64:
      convert<double>(data_, size_, to, cast);
      break;
    case DType::i64:
      convert<int64_t>(data_, size_, to, cast);
      break;
    case DType::i32:
      convert<int32_t>(data_, size_, to, cast);
      break;
    case DType::i16:
      convert<int16_t>(data_, size_, to, cast);
      break;
    case DType::i8:
      convert<int8_t>(data_, size_, to, cast);
      break;
    case DType::u8:
      convert<uint8_t>(data_, size_, to, cast);
      break;
    case DType::boolean:
      convert<uint8_t>(data_, size_, to, [](uint8_t element) { return element != 0 ? 1.0f : 0.0f; });
      break;
    default:
      dequantize(dtype_, data_, size_, to);
      break;
  }
  return out;
}

}  // namespace transformers
