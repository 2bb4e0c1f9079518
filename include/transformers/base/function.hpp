// What it is: Function, a callable of any kind behind one signature: std::function without <functional>, which costs
// every file that includes the library a tenth of its time to compile. Where it stands: base; every callback is one.
// Usage: `Function<bool(std::string_view)> on_text = [](std::string_view piece) { ... };  if (on_text) on_text("a");`
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace transformers {

template <class Signature>
class Function;

// Empty, or a callable that all copies share. Calling an empty one is undefined: ask first.
template <class Result, class... Args>
class Function<Result(Args...)> {
 public:
  Function() = default;
  Function(std::nullptr_t) {}
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, Function> &&
           std::is_invocable_r_v<Result, std::decay_t<F>&, Args...>) Function(F&& callable)
      : callable_(std::make_shared<std::decay_t<F>>(std::forward<F>(callable))),
        call_([](void* target, Args... args) -> Result {
          return static_cast<Result>((*static_cast<std::decay_t<F>*>(target))(std::forward<Args>(args)...));
        }) {}

  Result operator()(Args... args) const { return call_(callable_.get(), std::forward<Args>(args)...); }
  explicit operator bool() const noexcept { return call_ != nullptr; }

 private:
  std::shared_ptr<void> callable_;
  Result (*call_)(void* target, Args... args) = nullptr;
};

}  // namespace transformers
