// Arrays, and the memory they come from.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace snn {

// A sanitiser sees each array by itself.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool SHARES = false;
#else
constexpr bool SHARES = true;
#endif

// Large blocks wait here for the next run: the system clears every page of those that it hands out anew, which took a
// twentieth of a training step.
class Spare {
 public:
  static constexpr size_t LARGE = size_t(64) << 10, MOST = SHARES ? size_t(256) << 20 : 0;

  // At least so many bytes (which become what they are), uninitialised; `fresh`: zeros. nullptr where memory is short.
  void *take(size_t &bytes, bool zero, bool &fresh) {
    if (bytes >= LARGE) {
      std::lock_guard<std::mutex> guard(lock_);
      const auto found = blocks_.lower_bound(bytes);
      if (found != blocks_.end() && found->first <= bytes + bytes / 4) {
        void *block = found->second;
        bytes = found->first, held_ -= bytes, fresh = false;
        blocks_.erase(found);
        return block;
      }
    }
    fresh = zero;
    return zero ? std::calloc(bytes, 1) : std::malloc(bytes);
  }
  void give(void *block, size_t bytes) noexcept {
    if (bytes >= LARGE && SHARES) try {
        std::lock_guard<std::mutex> guard(lock_);
        if (held_ + bytes <= MOST) {
          blocks_.emplace(bytes, block);
          held_ += bytes;
          return;
        }
      } catch (...) {
      }
    std::free(block);
  }
  size_t held() const { return held_; }
  // Hands everything back to the system.
  void clear() {
    std::lock_guard<std::mutex> guard(lock_);
    for (auto &block : blocks_) std::free(block.second);
    blocks_.clear(), held_ = 0;
  }

 private:
  std::mutex lock_;
  std::multimap<size_t, void *> blocks_;
  size_t held_ = 0;
};
// Never destroyed: what outlives the program's end may still give back.
inline Spare &spare() {
  static Spare *const all = new Spare;
  return *all;
}

// Memory for n values, aligned to cache lines, and a line more that may be read and written.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t n, bool zero = true) : size_(n), bytes_(n * sizeof(T) + 2 * LINE) {
    bool fresh = false;
    memory_ = spare().take(bytes_, zero, fresh);
    if (!memory_) throw std::bad_alloc();
    data_ = (T *)((uintptr_t(memory_) + LINE - 1) / LINE * LINE);
    if (zero && !fresh) clear();
  }
  // Of memory that another holds.
  static Buffer part(T *data, size_t n) {
    Buffer b;
    b.data_ = data, b.size_ = n;
    return b;
  }
  Buffer(Buffer &&o) noexcept { swap(o); }
  Buffer &operator=(Buffer &&o) noexcept {
    swap(o);
    return *this;
  }
  ~Buffer() {
    if (memory_) spare().give(memory_, bytes_);
  }
  void clear() { std::memset((void *)data_, 0, size_ * sizeof(T)); }
  // At least n values; what is there stays.
  void grow(size_t n) {
    if (n <= size_) return;
    Buffer larger(n + n / 2, false);
    if (size_) std::memcpy((void *)larger.data_, (void *)data_, size_ * sizeof(T));
    *this = std::move(larger);
  }
  size_t size() const { return size_; }
  T *get() const { return data_; }
  T &operator[](size_t i) const { return data_[i]; }

 private:
  static constexpr size_t LINE = 64;
  void swap(Buffer &o) noexcept {
    std::swap(memory_, o.memory_), std::swap(data_, o.data_), std::swap(size_, o.size_), std::swap(bytes_, o.bytes_);
  }
  void *memory_ = nullptr;
  T *data_ = nullptr;
  size_t size_ = 0, bytes_ = 0;
};

// Copies of many small arrays, side by side; they live as long as it does.
class Arena {
 public:
  template <class T>
  Buffer<T> copy(const Buffer<T> &from, size_t n) {
    const size_t bytes = (n * sizeof(T) + 63) / 64 * 64;
    if (chunks_.empty() || used_ + bytes > chunks_.back().size()) {
      chunks_.emplace_back(bytes > CHUNK ? bytes : CHUNK, false);
      used_ = 0;
    }
    T *to = (T *)(chunks_.back().get() + used_);
    used_ += bytes;
    if (n) std::memcpy((void *)to, (const void *)from.get(), n * sizeof(T));
    return Buffer<T>::part(to, n);
  }

 private:
  static constexpr size_t CHUNK = SHARES ? size_t(1) << 20 : 0;
  std::vector<Buffer<char>> chunks_;
  size_t used_ = 0;
};

}  // namespace snn
