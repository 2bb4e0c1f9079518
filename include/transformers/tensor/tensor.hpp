// What it is: Tensor, a typed, shaped, row-major block of bytes that owns or shares its memory.
// Where it stands: tensor; weights (mapped from files) and results (copied out) are Tensors, activations live in
// Workspace. Usage: `Tensor t = Tensor::zeros(DType::f32, {2, 3}); t.mutable_data<float>()[0] = 1;`
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/tensor/dtype.hpp"

namespace transformers {

using Shape = std::vector<int64_t>;

// "[2, 3]"
TCPP_API std::string to_string(const Shape& shape);
// The product of the dimensions. Error(limit) when it overflows 63 bits, Error(invalid_argument) on a negative
// dimension.
TCPP_API int64_t element_count(const Shape& shape);

// Always row-major and contiguous; a slice is along dimension 0 only. Copies share the bytes. In a block format the
// last dimension is a multiple of the block.
class TCPP_API Tensor {
 public:
  Tensor() = default;
  // Bytes of someone else, kept alive by `owner`; `data` may be unaligned (see aligned()).
  Tensor(DType dtype, Shape shape, const void* data, std::shared_ptr<const void> owner);
  static Tensor zeros(DType dtype, Shape shape);
  template <class T>
  static Tensor from(DType dtype, Shape shape, std::span<const T> values) {
    return copy_of(dtype, std::move(shape), values.data(), values.size_bytes());
  }

  DType dtype() const noexcept { return dtype_; }
  const Shape& shape() const noexcept { return shape_; }
  int64_t dim(std::size_t i) const { return shape_.at(i); }
  std::size_t rank() const noexcept { return shape_.size(); }
  int64_t size() const noexcept { return size_; }  // elements
  std::size_t bytes() const noexcept { return dtype_bytes(dtype_, size_); }
  bool empty() const noexcept { return size_ == 0; }
  bool defined() const noexcept { return owner_ != nullptr; }

  const void* raw() const noexcept { return data_; }
  // True when data() may be read as its element type; safetensors allows offsets that are not.
  bool aligned() const noexcept { return reinterpret_cast<uintptr_t>(data_) % dtype_size(dtype_) == 0; }
  // [size()] elements. T must be the C++ type of dtype() (float, int64_t, ...; uint16_t for f16 and bf16; of a block
  // format uint8_t, [bytes()] of them), else Error(internal); a debug check on alignment.
  template <class T>
  const T* data() const {
    check_type(sizeof(T));
    return static_cast<const T*>(data_);
  }
  template <class T>
  T* mutable_data() {
    check_type(sizeof(T));
    return static_cast<T*>(const_cast<void*>(data_));
  }
  template <class T>
  std::span<const T> span() const {
    return {data<T>(), bytes() / sizeof(T)};
  }

  // Rows [begin, end) of dimension 0, sharing the bytes.
  Tensor slice(int64_t begin, int64_t end) const;
  // The same bytes under another shape of the same size.
  Tensor reshaped(Shape shape) const;
  // The same values where data() may be called (a copy, unless aligned() already).
  Tensor to_aligned() const;
  // The values as float32 (a copy, unless f32 and aligned already).
  Tensor to_float32() const;

 private:
  static Tensor copy_of(DType dtype, Shape shape, const void* data, std::size_t bytes);
  void check_type(std::size_t element_size) const;

  DType dtype_ = DType::f32;
  Shape shape_;
  int64_t size_ = 0;
  const void* data_ = nullptr;
  std::shared_ptr<const void> owner_;
};

}  // namespace transformers
